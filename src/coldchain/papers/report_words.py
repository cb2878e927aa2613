"""What a report on paper says, in English and Chinese, and its tables: the same in every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from coldchain.rules.clauses import clauses

Language = Literal["en", "zh"]
_WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("Temperature report", "温度报告"),
    "about": ("About", "对象"),
    "period": ("Period (UTC)", "期间（UTC）"),
    "part": ("A part of the whole time", "仅为全程中的一段，全程"),
    "verdict": ("Verdict", "结论"),
    "ledger": ("Ledger entries", "账本条目数"),
    "issued": ("Recorded as entry", "登记条目号"),
    "digest": ("SHA-256 of the figures", "数据 SHA-256"),
    "rules": ("Rules applied", "适用规则"),
    "pack": ("Rule pack", "规则包"),
    "stage": ("Stage", "环节"),
    "clause": ("Clause", "条款"),
    "verified": ("Clause verified", "条款已核实"),
    "limit": ("Limit °C", "限值 °C"),
    "stays": ("Places", "经过地点"),
    "place": ("Place", "地点"),
    "from": ("From", "起"),
    "to": ("To", "止"),
    "doors": ("Door openings", "开门次数"),
    "doors_min": ("Door open min", "开门分钟"),
    "defrosts": ("Defrosts", "除霜次数"),
    "defrosts_min": ("Defrost min", "除霜分钟"),
    "probes": ("Probes", "测点"),
    "device": ("Device", "设备"),
    "probe": ("Probe", "测点"),
    "kind": ("Kind", "类型"),
    "readings": ("Readings", "读数"),
    "faults": ("Faults", "故障值"),
    "min": ("Min °C", "最低 °C"),
    "max": ("Max °C", "最高 °C"),
    "mean": ("Mean °C", "平均 °C"),
    "sd": ("Std. dev. K", "标准差 K"),
    "in_range_min": ("In range min", "限值内分钟"),
    "breach_min": ("Breach min", "超限分钟"),
    "unknown_min": ("Unknown min", "未知分钟"),
    "unjudged_min": ("Not judged min", "未判定分钟"),
    "gaps": ("Gaps", "断档次数"),
    "longest_gap_min": ("Longest gap min", "最长断档分钟"),
    "calibration": ("Calibration", "校准"),
    "above": ("Time above temperatures", "高于各温度的时间"),
    "level": ("Above °C", "高于 °C"),
    "total_min": ("Total min", "合计分钟"),
    "longest_min": ("Longest min", "最长分钟"),
    "exposure": ("Budgets of the consignment", "货物温度预算"),
    "spent_min": ("Spent min", "已用分钟"),
    "remaining_min": ("Remaining min", "剩余分钟"),
    "allowed_min": ("Allowed min", "允许分钟"),
    "exceeded_at": ("Exceeded at", "超出时间"),
    "mkt": ("MKT °C", "平均动力学温度 °C"),
    "kept": ("kept", "未超"),
    "exceeded": ("exceeded", "已超"),
    "excursions": ("Excursions", "超限记录"),
    "minutes": ("Minutes", "分钟"),
    "extreme": ("Extreme °C", "极值 °C"),
    "findings": ("Findings", "发现问题"),
    "rule": ("Rule", "规则"),
    "subject": ("Subject", "对象"),
    "state": ("State", "状态"),
    "entry": ("Entry", "条目号"),
    "chart": ("Temperatures", "温度曲线"),
    "receipt": ("Ledger receipt", "账本回执"),
    "check": ("Check address", "核验地址"),
    "none": ("none", "无"),
    "of": ("of", "/"),
    "page": ("Page", "第"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "in_range": ("in range", "限值内"),
    "breach": ("breach", "超限"),
    "unknown": ("unknown", "未知"),
    "unjudged": ("not judged", "未判定"),
    "air": ("air", "空气"),
    "product": ("product", "产品"),
    "not_shown": ("not shown", "未出示"),
    "expired": ("expired", "已过期"),
    "valid": ("valid", "有效"),
    "CONTINUOUS": ("continuous", "连续"),
    "BROKEN_AUTHORISED": ("broken, authorised", "中断（已授权）"),
    "UNOBSERVED": ("unobserved", "未观测"),
    "BROKEN_PENDING": ("broken, answer pending", "中断（待答复）"),
    "BROKEN_UNEXPLAINED": ("broken, unexplained", "中断（未解释）"),
    "open": ("lasting", "持续中"),
    "closed": ("ended", "已结束"),
    "suspected": ("suspected", "疑似"),
    "asked": ("asked", "已询问"),
    "explained": ("explained", "已解释"),
    "disputed": ("disputed", "有争议"),
    "standing": ("standing", "成立"),
    "transport": ("transport", "运输"),
    "storage": ("storage", "贮存"),
    "retail": ("retail", "零售"),
    "cut": ("{shown} of {total} shown", "共 {total} 条，列出 {shown} 条"),
    "proof": (
        "The ledger's entry {entry} holds the SHA-256 above, of this report's figures as canonical JSON. The receipt "
        "proves, with the log's public key and without this server, that the entry is in the ledger.",
        "账本第 {entry} 条记录了本报告数据（规范 JSON）的 SHA-256。"
        "凭下方回执与账本公钥，无需本服务器即可证明该条目在账本中。",
    ),
}


class Sheet(NamedTuple):
    """One table of a report: a heading, the columns' headings, rows of texts and numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]


class Issue(NamedTuple):
    """Where the ledger holds that a report was issued."""

    entry: int
    sha256: str
    receipt: str
    check: str
    """Address at which anybody can fetch the receipt."""


class Words:
    """One language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._place = 0 if language == "en" else 1

    def __call__(self, key: str, **values: object) -> str:
        return _WORDS[key][self._place].format(**values)

    def known(self, value: str) -> str:
        """A word of ours, or a name as it is."""
        return self(value) if value in _WORDS else value

    def clause(self, text: str) -> str:
        """Of a rule pack: the shipped ones in this language, others as they state it."""
        return clauses("zh_Hans").get(text, text) if self.language == "zh" else text

    def columns(self, text: str) -> list[str]:
        return [self(key) for key in text.split()]


def head(words: Words, document: Mapping[str, Any], issue: Issue | None) -> list[tuple[str, str]]:
    """What the report is about, line by line."""
    ledger = document["ledger"]
    lines = [
        (words("about"), str(document["about"])),
        (words("period"), f"{document['from']} – {document['to']}"),
        *_part(words, document),
        (words("verdict"), words(document["verdict"])),
        (words("ledger"), f"{ledger['size']} ({ledger['time']})"),
    ]
    if issue is not None:
        lines += [(words("issued"), str(issue.entry)), (words("digest"), issue.sha256), (words("check"), issue.check)]
    return lines


def _part(words: Words, document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where there is more than what is told of, that there is."""
    whole = document["whole"]
    is_all = (whole["from"], whole["to"]) == (document["from"], document["to"])
    return [] if is_all else [(words("part"), f"{whole['from']} – {whole['to']}")]


def sheets(words: Words, document: Mapping[str, Any]) -> list[Sheet]:
    """Every table, the empty ones too: that there was no excursion is what most reports are for."""
    return [
        _rules(words, document),
        _stays(words, document),
        _probes(words, document),
        _above(words, document),
        _budgets(words, document),
        _excursions(words, document),
        _findings(words, document),
    ]


def _rules(words: Words, document: Mapping[str, Any]) -> Sheet:
    rows = [
        (
            f"{rule['pack']} v{rule['version']}",
            words.known(rule["stage"]),
            _celsius(rule["limit_mc"]),
            words("yes" if rule["verified"] else "no"),
            words.clause(rule["clause"]),
        )
        for rule in document["rules"]
    ]
    return Sheet(words("rules"), words.columns("pack stage limit verified clause"), rows)


def _stays(words: Words, document: Mapping[str, Any]) -> Sheet:
    rows = [
        (
            stay["place"],
            stay["from"],
            stay["to"],
            stay["doors"]["count"],
            _minutes(stay["doors"]["seconds"]),
            stay["defrosts"]["count"],
            _minutes(stay["defrosts"]["seconds"]),
            words(stay["verdict"]),
        )
        for stay in document["stays"]
    ]
    title = _titled(words, "stays", len(rows), document["stays_total"])
    return Sheet(title, words.columns("place from to doors doors_min defrosts defrosts_min verdict"), rows)


def _probes(words: Words, document: Mapping[str, Any]) -> Sheet:
    rows = [
        (
            stay["place"],
            probe["device"],
            probe["probe"],
            words(probe["kind"]),
            probe["readings"],
            probe["faults"],
            *(_celsius(probe[f"{name}_mc"]) for name in ("min", "max", "mean", "sd")),
            *(_minutes(probe[f"{name}_s"]) for name in ("in_range", "breach", "unknown", "unjudged")),
            probe["gaps"],
            _minutes(probe["longest_gap_s"]),
            _calibration(words, probe["calibration"]),
            words(probe["verdict"]),
        )
        for stay in document["stays"]
        for probe in stay["probes"]
    ]
    keys = (
        "place device probe kind readings faults min max mean sd in_range_min breach_min unknown_min unjudged_min gaps "
        "longest_gap_min calibration verdict"
    )
    return Sheet(words("probes"), words.columns(keys), rows)


def _above(words: Words, document: Mapping[str, Any]) -> Sheet:
    rows = [
        (
            stay["place"],
            probe["device"],
            probe["probe"],
            _celsius(above["mc"]),
            _minutes(above["total_s"]),
            _minutes(above["longest_s"]),
        )
        for stay in document["stays"]
        for probe in stay["probes"]
        for above in probe["above"]
    ]
    return Sheet(words("above"), words.columns("place device probe level total_min longest_min"), rows)


def _budgets(words: Words, document: Mapping[str, Any]) -> Sheet:
    """What goods may spend in their whole life, up to the end of the period; the mean kinetic temperature of drugs."""
    rows: list[tuple[str | float | None, ...]] = []
    for one in document["exposure"]:
        pack, mkt = f"{one['pack']} v{one['version']}", one["mkt"]
        rows += [
            (
                pack,
                _celsius(budget["above_mc"]),
                *(_minutes(budget[f"{name}_s"]) for name in ("max", "spent", "remaining", "unknown")),
                budget["exceeded"] or "",
                words.known(budget["verdict"]),
                None,
            )
            for budget in one["budgets"]
        ]
        if mkt is not None:
            verdict = words.known(mkt["verdict"])
            rows.append((pack, None, None, None, None, None, "", verdict, _celsius(mkt["mkt_mc"])))
    keys = "pack level allowed_min spent_min remaining_min unknown_min exceeded_at verdict mkt"
    return Sheet(words("exposure"), words.columns(keys), rows)


def _excursions(words: Words, document: Mapping[str, Any]) -> Sheet:
    rows = [
        (
            *(one[name] for name in ("place", "device", "probe", "from", "to")),
            _minutes(one["seconds"]),
            _celsius(one["extreme_mc"]),
        )
        for one in document["excursions"]
    ]
    title = _titled(words, "excursions", len(rows), document["excursions_total"])
    return Sheet(title, words.columns("place device probe from to minutes extreme"), rows)


def _findings(words: Words, document: Mapping[str, Any]) -> Sheet:
    rows = [
        (
            one["rule"],
            f"{one['subject']} {one['channel']}".strip(),
            one["from"],
            one["to"] or "",
            words.known(one["verdict"]),
            words.known(one["state"]),
            one["entry"],
        )
        for one in document["findings"]
    ]
    return Sheet(words("findings"), words.columns("rule subject from to verdict state entry"), rows)


def _titled(words: Words, key: str, shown: int, total: int) -> str:
    return words(key) if shown == total else f"{words(key)} ({words('cut', shown=shown, total=total)})"


def _calibration(words: Words, mark: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (words(mark["mark"]), mark["certificate"], (mark["until"] or "")[:10])))


def _celsius(mc: int | None) -> float | None:
    return None if mc is None else mc / 1000


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 1)
