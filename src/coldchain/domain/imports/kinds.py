"""What a row of each kind of sheet may say: its fields, their headings in English and Chinese, and their types."""

from __future__ import annotations

from typing import NamedTuple

from coldchain.domain.imports import cells
from coldchain.domain.imports.cells import Reader


class Field(NamedTuple):
    """name: as maps have it. headings: what a sheet may call it, English and Chinese first (those of the template)."""

    name: str
    read: Reader
    headings: tuple[str, ...]
    required: bool = False


class Kind(NamedTuple):
    """One kind of sheet."""

    name: str
    title_en: str
    title_zh: str
    paper: tuple[str, ...]
    """Rows that agree in these fields are lines of one paper."""
    fields: tuple[Field, ...]
    any_of: tuple[tuple[str, ...], ...] = ()
    """Of each group at least one field must be stated in a row."""
    totals: bool = True
    """The lines of a paper add up: leaving one out would falsify it."""

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)


def _of(name: str, read: Reader, *headings: str) -> Field:
    return Field(name, read, headings)


def _required(field: Field) -> Field:
    return field._replace(required=True)


DOCUMENT = _of("document", cells.text, "Document no.", "单据号", "单号", "document", "waybill", "运单号")
TIME = _required(_of("time", cells.instant, "Time", "时间", "日期", "date"))
CONTAINER = _of("container", cells.identifier("cont"), "Container", "集装箱号", "箱号", "柜号", "container no.")
PALLET = _of("pallet", cells.load, "Pallet label", "托盘标签", "托盘号", "sscc", "pallet")
FROM_PALLET = _of("from_pallet", cells.load, "Picked from pallet", "拣货托盘", "from pallet")
PRODUCT = _of("product", cells.text, "Product", "品名", "产品名称", "商品名称", "goods")
PLANT = _of("plant", cells.text, "Plant no.", "厂号", "注册号", "境外生产企业注册号", "plant", "gacc")
GTIN = _of("gtin", cells.gtin, "GTIN", "商品条码", "barcode")
LOT = _of("lot", cells.text, "Lot", "批号", "批次", "batch")
PRODUCED = _of("produced", cells.printed_date, "Production date", "生产日期")
HS = _of("hs", cells.customs_code, "HS code", "商品编号", "税则号", "税号", "HS编码", "hs", "hs no.")
CASES = _of("cases", cells.count, "Cases", "箱数", "件数", "cartons", "boxes")
KG = _of("kg", cells.kilograms, "Net weight kg", "净重kg", "净重(kg)", "净重", "kg", "weight kg")
SEAL = _of("seal", cells.text, "Seal", "封志号", "铅封号", "seal no.")
SEAL_STATE = _of("seal_state", cells.seal_state, "Seal state", "封志状态", "铅封状态")
VEHICLE = _of("vehicle", cells.identifier("veh"), "Vehicle", "车辆编号", "车辆")
SITE = _of("site", cells.place, "Site", "场所", "仓库", "warehouse")
ROOM = _of("room", cells.identifier("room"), "Room", "库房", "冷库", "cold room")
SENDER = _of("sender", cells.organisation, "From", "发货方", "供货方", "supplier", "shipper")
RECEIVER = _of("receiver", cells.organisation, "To", "收货方", "购货方", "buyer", "consignee")
GOODS = (PRODUCT, PLANT, GTIN, LOT, PRODUCED)
AMOUNT = (CASES, KG)
_SOME = ("cases", "kg")
_JOURNEY = ("document", "time", "room", "vehicle", "sender", "receiver")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "declaration",
            "Customs declaration",
            "报关单",
            ("declaration",),
            (
                _required(_of("declaration", cells.identifier("decl"), "Declaration", "报关单号")),
                TIME,
                HS,
                _required(PRODUCT),
                PLANT,
                GTIN,
                LOT,
                PRODUCED,
                *AMOUNT,
                CONTAINER,
                _of("site", cells.place, "Port", "口岸", "入境口岸"),
            ),
            (_SOME,),
        ),
        Kind(
            "packing-list",
            "Packing list",
            "装箱单",
            ("document", "container"),
            (DOCUMENT, TIME, _required(CONTAINER), PALLET, HS, *GOODS, *AMOUNT, SEAL, SITE),
            (_SOME,),
        ),
        Kind(
            "tally",
            "Devanning tally",
            "掏箱理货单",
            ("document", "container"),
            (
                DOCUMENT,
                TIME,
                _required(CONTAINER),
                _required(PALLET),
                *GOODS,
                *AMOUNT,
                _required(SITE),
                SEAL,
                SEAL_STATE,
            ),
            (_SOME,),
        ),
        Kind(
            "receipt",
            "Goods receipt",
            "入库单",
            _JOURNEY,
            (
                DOCUMENT,
                TIME,
                PALLET,
                *GOODS,
                *AMOUNT,
                _required(ROOM),
                VEHICLE,
                _required(SENDER),
                _required(RECEIVER),
                SEAL,
                SEAL_STATE,
            ),
            (("pallet", "cases", "kg"),),
        ),
        Kind(
            "dispatch",
            "Dispatch note",
            "出库单",
            _JOURNEY,
            (
                DOCUMENT,
                TIME,
                PALLET,
                FROM_PALLET,
                *GOODS,
                *AMOUNT,
                _required(ROOM),
                VEHICLE,
                _required(SENDER),
                _required(RECEIVER),
                SEAL,
            ),
            (("pallet", "cases", "kg"),),
        ),
        Kind(
            "sale",
            "Sales record",
            "销售单",
            _JOURNEY,
            (
                DOCUMENT,
                TIME,
                PALLET,
                FROM_PALLET,
                *GOODS,
                *AMOUNT,
                _required(ROOM),
                _required(SENDER),
                _required(RECEIVER),
            ),
            (("pallet", "cases", "kg"),),
        ),
        Kind(
            "stock-count",
            "Stock count",
            "盘点表",
            ("time", "room"),
            (TIME, _required(ROOM), PALLET, *GOODS, *AMOUNT),
            (("pallet", "cases", "kg"),),
        ),
        Kind(
            "opening-stock",
            "Opening stock",
            "期初库存",
            ("time", "room"),
            (TIME, _required(ROOM), PALLET, *GOODS, *AMOUNT),
            (("pallet", "cases", "kg"),),
        ),
        Kind(
            "temperatures",
            "Temperatures",
            "温度记录",
            ("place", "probe"),
            (
                TIME,
                _required(_of("place", cells.place, "Place", "位置", "地点", "room", "vehicle", "库房", "车辆")),
                _of("probe", cells.text, "Probe", "探头", "测点"),
                _required(_of("celsius", cells.celsius, "Temperature °C", "温度℃", "温度", "temperature", "temp")),
            ),
            totals=False,
        ),
        Kind(
            "exception-claims",
            "Exception claims",
            "例外情况说明",
            ("id",),
            (
                _required(_of("id", cells.text, "Claim no.", "编号")),
                _required(_of("code", cells.exception_code, "Code", "例外代码", "代码")),
                _required(_of("from", cells.instant, "From time", "开始时间", "from")),
                _required(_of("to", cells.instant, "To time", "结束时间", "to")),
                _of("units", cells.names, "Units", "涉及单元", "units"),
                _of("places", cells.names, "Places", "地点", "places"),
            ),
            (("units", "places"),),
            totals=False,
        ),
    )
}
