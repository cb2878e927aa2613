"""Who asks on a Chinese page for what is not there, or may not be, is told so in Chinese."""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import httpx
import pytest

import coldchain
from coldchain.services.access import MAX_FAILURES
from coldchain.web.i18n import LANGUAGES, load_words
from web.story import DEVICE, PALLET

CHINESE = re.compile(r"[\u4e00-\u9fff]")
NOBODY = "f" * 32
CATALOGUE = json.loads((resources.files("coldchain.web") / "locale" / "details_zh_Hans.json").read_text("utf-8"))
OTHERS = {sentence for sentence in CATALOGUE if sentence.startswith("{where}:")} | {
    "Not Found",
    "Method Not Allowed",
    "{name} is named by no entry of this ledger within its first {size} entries",
}
"""Sentences of pydantic and Starlette, and one of ours in two pieces."""


def detail(page: str) -> str:
    return html.unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nothing", "没有这个地址的页面"),
        ("/devices/nobody", "没有设备 'nobody'"),
        (f"/findings/{NOBODY}", f"没有发现 '{NOBODY}'"),
        ("/problems/nothing", "没有名为 'nothing' 的错误类型"),
        ("/units/veh:NOBODY", "本账本中没有任何条目提到 'veh:NOBODY'"),
        ("/units/veh:NOBODY?as_of=3", "本账本的前 3 个条目中没有提到 'veh:NOBODY'"),
        ("/trace/veh:NOBODY", "本账本中没有任何条目提到 'veh:NOBODY'"),
        ("/evidence?id=veh:NOBODY", "本账本中没有任何条目提到 'veh:NOBODY'"),
        ("/answer/secret", "此链接已被使用、已过期，或从未存在"),
        ("/units/no; such", "'no; such' 的位置 0（从 0 数起）：应为 URI 或名称，如 sscc:169012345000000025"),
        ("/units/sscc:169012345000000026", "应为校验位 5（GS1 模 10）"),
        ("/units/sscc:1690", "应为 18 位数字，实为 4 位"),
        ("/units/sscc:16901234500000002x", "应为数字，共 18 位"),
        ("/units/lot:06901234500017", "应为 / 和批号"),
        ("/find?id=169012345000000026", "应为报关单号或托盘号（SSCC）"),
        ("/find?id=MSKU 123456 7", "应为校验位 5（ISO 6346）"),
        ("/find?id=(00)16901234500000002", "应为 18 位数字，实为 17 位"),
        ("/find?id=(37)5", "应为以下标识之一：(00), (8003), "),
        ("/find?id=(milk)", "应为带括号的应用标识符，如 (00)"),
        ("/find?id=decl:222020263000000001", "应为 1（进口）或 0（出口）"),
        ("/find?id=", "'' 的位置 0（从 0 数起）：应为可打印的文字"),
        ("/units/cont:MSKU1234567", "应为校验位 5（ISO 6346）"),
        (f"/units/{PALLET}?at=yesterday", "参数 at 为 'yesterday'，应为 1970 年以来的时间，如 2026-03-02 08:00（UTC）"),
        (f"/units/{PALLET}?as_of=all", "参数 as_of 为 'all'，应为账本条目数"),
        (f"/units/{PALLET}?as_of=99999999", "按 99999999 个条目：应为 1 至 "),
        (f"/units/{PALLET}?until=noon", "query until：应为整数"),
        (f"/units/{PALLET}?until=0", "query until：应不小于 1"),
        (f"/devices/{DEVICE}?span=hour", "query span：应为 day、week、month 或 year"),
        (f"/devices/{DEVICE}?span=hour&until=noon", "query until：应为整数；query span：应为 day、week、month 或 year"),
        ("/devices/a~b", "path device：应符合 ^[A-Za-z0-9_-]{1,64}$"),
        ("/evidence", "query id：必须填写"),
        ("/findings?show=some", "参数 show：应为 open, settled, all 之一"),
        ("/findings?cursor=nonsense", "参数 cursor：不是本服务器给出的"),
        ("/devices?cursor=WzFd", "参数 cursor：不是此列表给出的"),
    ],
)
def test_what_is_not_there_is_told_in_chinese_with_its_name(visitor: httpx.Client, path: str, said: str) -> None:
    chinese, english = (visitor.get(path, headers={"accept-language": language[:2]}) for language in LANGUAGES[::-1])
    assert chinese.status_code == english.status_code >= 400
    assert said in detail(chinese.text)
    assert not CHINESE.search(detail(english.text))


def test_an_expired_link_and_too_many_of_them_are_told_in_chinese(client: httpx.Client) -> None:
    client.headers.update({"accept": "text/html", "accept-language": "zh-CN"})
    for _ in range(MAX_FAILURES):
        assert "此链接已被使用、已超过 15 分钟，或从未存在" in client.get("/login?code=old").text
    assert re.fullmatch(r"来自该地址的错误凭证过多；请在 \d+ 秒后再试", detail(client.get("/login?code=old").text))


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("{address}", {"comment": " ", "seen": "{entry}"}, "说明：请用 1 至 2000 个字写明查明了什么或做了什么"),
        ("{address}", {"comment": "x", "seen": "0"}, "条目 0 不属于发现 {finding}：应为 ["),
        ("{address}", {"comment": "x", "seen": "{entry}", "name": "x" * 200}, "姓名：最多 100 个可打印字符"),
        ("{address}", {"comment": "x"}, "应为发现页面的表单：comment、name、seen"),
        ("/report", {"about": "veh:NOBODY", "format": "pdf"}, "没有关于 'veh:NOBODY' 的报告：它所在之处没有任何测量"),
        ("/report", {"about": PALLET, "format": "doc"}, "表单：应有 about，格式应为 pdf, xlsx, csv 之一，实为 'doc'"),
        ("/units", {}, "该地址不接受这种方法"),
        ("/report", {"about": "x" * 70_000}, "请求体最多 65536 字节"),
    ],
)
def test_what_a_form_is_refused_for_is_told_in_chinese(
    visitor: httpx.Client, path: str, form: dict[str, str], said: str
) -> None:
    finding = re.findall(r'href="/findings/([0-9a-f]{32})">', visitor.get("/findings").text)[0]
    entry = re.findall(r'name="seen" value="(\d+)"', visitor.get(f"/findings/{finding}").text)[0]
    known = {"{address}": f"/findings/{finding}/acknowledgement", "{entry}": entry, "{finding}": finding}

    def filled(text: str) -> str:
        return re.sub(r"{\w+}", lambda found: known[found.group()], text)

    fields = {name: filled(text) for name, text in form.items()}
    answer = visitor.post(filled(path), data=fields, headers={"accept-language": "zh"})
    assert answer.status_code >= 400
    assert filled(said) in html.unescape(answer.text)


def test_what_is_unknown_stays_and_a_sentence_may_hold_what_divides_sentences() -> None:
    told = load_words()["zh_Hans"].detail
    assert told("nobody ever says this; no device 'x'") == "nobody ever says this; no device 'x'"
    assert told("no device 'x'; no device 'y'") == "没有设备 'x'；没有设备 'y'"
    assert told("others are asking what was believed earlier, one at a time; try again in a minute").endswith("重试")
    assert load_words()["en"].detail("no device 'x'") == "no device 'x'"


def said_in_code() -> Iterator[str]:
    """Every text of the program, with a name in each of its places."""
    for path in Path(coldchain.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "N1" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_sentence_of_the_catalogue_is_one_that_the_program_says() -> None:
    """So that a sentence that is changed takes its Chinese one along."""
    said = set(said_in_code())
    stale = set()
    for sentence in CATALOGUE.keys() - OTHERS:
        pattern = re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(sentence)))
        if not any(pattern.fullmatch(text) for text in said):
            stale.add(sentence)
    assert stale == set()


def test_each_sentence_has_the_same_places_in_both_languages() -> None:
    for english, chinese in CATALOGUE.items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese)), english
