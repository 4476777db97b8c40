"""Whether the table of a file is found: its encoding, delimiter, sheet, header and rows. Touches no database."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest

from crm.errors import InvalidInput, Unreadable
from onlyfans import csv_html, csv_layout
from onlyfans.csv_import import headers_known
from onlyfans.csv_layout import ALL_SHEETS, Layout
from onlyfans.csv_reader import Sheet, sheet_read

FILES = Path(__file__).parent / "files"
HEADER = ["Username", "Display Name", "Total Spent", "Last Seen"]


def read(content: bytes | str, **asked: object) -> tuple[Sheet, dict[int, list[str]]]:
    """The sheet and its rows by their numbers."""
    content = content.encode() if isinstance(content, str) else content
    with sheet_read(content, recognised=headers_known, asked=Layout(**asked)) as sheet:  # type: ignore[arg-type]
        rows = {
            int(line): cells
            for chunk in sheet.chunks()
            for line, cells in zip(chunk.lines, chunk.raw(range(len(chunk.lines))), strict=True)
        }
    return sheet, rows


def sample(name: str, **asked: object) -> tuple[Sheet, dict[int, list[str]]]:
    return read((FILES / name).read_bytes(), **asked)


def told(sheet: Sheet) -> str:
    return " ".join(sheet.notices)


def workbook(**sheets: Sequence[Sequence[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def test_rows_that_end_early_are_filled_up_and_told() -> None:
    sheet, rows = read("Username,Name,Notes\nada,Ada,x\nbo,Bo\ncy\n")
    assert rows == {2: ["ada", "Ada", "x"], 3: ["bo", "Bo", ""], 4: ["cy", "", ""]}
    assert "the last column: 2, first row 3" in told(sheet)


def test_cells_behind_the_last_column_are_kept_with_their_row() -> None:
    with sheet_read(b"Username,Name\nada,Ada,x\n", recognised=headers_known) as sheet:
        [chunk] = sheet.chunks()
    assert chunk.ragged == {0: ["ada", "Ada", "x"]}


def test_cells_that_a_border_made_are_no_columns() -> None:
    for name in ("fans_298_empty_columns.csv", "workbook_border_to_column_300.xlsx"):
        sheet, rows = sample(name)
        assert (len(sheet.header), sheet.header[0], rows[2][0]) == (len(rows[2]), "Username", "ada_k")
        assert len(sheet.header) < 5


def test_rows_of_a_workbook_end_where_they_end() -> None:
    sheet, rows = sample("workbook_last_cells_of_rows_empty.xlsx")
    assert (rows[4][:4], rows[4][-1], sheet.notices) == (["80000003", "cy_3", "Cy", "3"], "", ())


@pytest.mark.parametrize(
    ("name", "row", "first", "cells"),
    [
        ("fans_title_lines_above_header.csv", 4, 5, ["ada_k", "Ada", "$12.50", "2026-11-02"]),
        ("earnings_statement_lines_above_header.csv", 5, 6, ["14.11.2026 10:00", "20,00", "4,00", "16,00", "tip"]),
        ("workbook_of_excel_97.xls", 3, 4, ["ada_k", "Zoë Ada", "12.5", "2026-11-02"]),
    ],
)
def test_lines_above_the_header_are_left_out_and_told(name: str, row: int, first: int, cells: list[str]) -> None:
    sheet, rows = sample(name)
    assert (sheet.found.header_row, next(iter(rows)), rows[first]) == (row, first, cells)
    assert "above the header" in told(sheet)


def test_a_header_whose_names_are_not_known_is_as_wide_as_its_table() -> None:
    sheet, rows = read("List of May\nby,Nora\n\nWho,Money,Mail,Seen\nada,5,a@example.com,2026-05-01\nbo,6,,\n")
    assert (sheet.header, sheet.found.header_row, list(rows)) == (["Who", "Money", "Mail", "Seen"], 4, [5, 6])


def test_a_cell_that_says_what_a_header_says_is_none() -> None:
    assert read("Who,What\nada,x\nbo,Notes\n")[0].header == ["Who", "What"]
    assert read("My fans\n\nUsername\nada\n")[0].found.header_row == 3


def test_a_file_without_a_header_has_numbered_columns() -> None:
    sheet, rows = sample("fans_without_a_header.csv")
    assert (sheet.found.header_row, sheet.header) == (0, [f"Column {number}" for number in range(1, 5)])
    assert rows[1] == ["ada_k", "Ada", "12.50", "2026-11-02"]
    assert "no header" in told(sheet)


def test_the_row_of_the_header_can_be_said() -> None:
    text = "Username,Name\nLogin,Label\nada,Ada\n"
    assert read(text, header_row=2)[0].header == ["Login", "Label"]
    assert read(text, header_row=0)[1][1] == ["Username", "Name"]
    with pytest.raises(InvalidInput) as caught:
        read(text, header_row=9)
    assert caught.value.errors[0].field == "header_row"


def test_a_header_on_two_lines_of_its_cell_or_with_characters_that_cannot_be_seen_is_one_name() -> None:
    sheet, rows = read('\u200bUsername,"Total\nSpent"\nada,5\n')
    assert (sheet.header, rows) == (["Username", "Total Spent"], {2: ["ada", "5"]})


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("Username|Name\nada|Ada, the first\n", "|"),
        ('"sep=;"\nUsername;Total Spent\nada;12,50\n', ";"),
        ("sep=;;;\nUsername;Total Spent\nada;12,50\n", ";"),
        ("List, of, May\nUsername;Total Spent\nada;12,50\n", ";"),
        ("ada;Ada;12,50\nbo;Bo;3,20\n", ";"),
    ],
)
def test_the_delimiter_is_found(text: str, delimiter: str) -> None:
    sheet, rows = read(text)
    assert (sheet.found.delimiter, next(iter(rows.values()))[0]) == (delimiter, "ada")


def test_a_delimiter_can_be_said() -> None:
    assert read("Username^Name\nada^Ada\n", delimiter="^")[1] == {2: ["ada", "Ada"]}
    with pytest.raises(InvalidInput):
        read("Username\nada\n", delimiter="||")


def test_rows_are_counted_as_a_spreadsheet_counts_them_over_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onlyfans.csv_encodings.BLOCK_BYTES", 30)
    lines = [f'f{number},"a\nb"' if number % 3 else f"f{number},x" for number in range(30)]
    _, rows = read("A list\n\nUsername,Notes\n" + "\n".join(lines) + "\n\nlast,x\n")
    assert {cells[0]: line for line, cells in rows.items()} == {
        **{f"f{number}": number + 4 for number in range(30)},
        "last": 35,
    }


def test_a_total_is_no_row() -> None:
    sheet, rows = read("Username,Name,Total Spent\nada,Ada,$5\nSubtotal,,5.00\ntotal_recall,,6\nGrand total:,,USD 11\n")
    assert [cells[0] for cells in rows.values()] == ["ada", "total_recall"]
    assert "totals of others were left out: 2, first row 3" in told(sheet)


def test_sheets_of_one_shape_are_read_together_or_one_of_them() -> None:
    sheet, rows = sample("workbook_two_sheets_of_fans.xlsx")
    assert [cells[0] for cells in rows.values()] == ["ada_k", "bo.w", "cy_3"]
    assert (sheet.found.sheets, sheet.found.read) == (("October", "November"), ("October", "November"))
    assert [csv_layout.row_in_sheet(line, 2) for line in rows] == [(0, 2), (1, 2), (1, 3)]
    assert sample("workbook_two_sheets_of_fans.xlsx", sheet="November")[1] == {
        2: ["bo.w", "Bo", "7", "2026-11-03"],
        3: ["cy_3", "Cy", "8", "2026-11-03"],
    }
    with pytest.raises(InvalidInput, match="October"):
        sample("workbook_two_sheets_of_fans.xlsx", sheet="December")


def test_a_sheet_of_another_shape_is_left_out_and_told() -> None:
    content = workbook(Read=[["see the next sheet"]], Fans=[["Username", "Name"], ["ada", "Ada"]])
    sheet, rows = read(content, sheet=ALL_SHEETS)
    assert (rows, sheet.found.read) == ({2: ["ada", "Ada"]}, ("Fans",))
    assert "not read: 'Read'" in told(sheet)


def test_a_workbook_of_the_strict_variant_is_read() -> None:
    assert sample("workbook_strict_open_xml.xlsx")[1] == {2: ["ada_k", "Ada", "12.5", ""]}


def test_a_formula_without_a_value_is_told_with_its_column() -> None:
    sheet, _ = sample("workbook_formulas_never_computed.xlsx")
    assert "'Total Spent' that were never computed: 2, first row 2" in told(sheet)


def test_a_formula_that_came_to_nothing_or_to_a_number_is_none_to_tell_of() -> None:
    content = workbook(Fans=[["Username", "Notes", "Total Spent"], ["ada", "=A1", "=1+1"]])
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(target, "w") as copy:
        for info in archive.infolist():
            text = archive.read(info)
            if info.filename == "xl/worksheets/sheet1.xml":
                text = text.replace(b'<c r="B2"><f>A1</f><v />', b'<c r="B2" t="str"><f>A1</f><v />')
                text = text.replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
                assert b't="str"' in text
                assert b"<v>2</v>" in text
            copy.writestr(info, text)
    assert read(target.getvalue())[0].notices == ()


@pytest.mark.parametrize(
    ("name", "encoding", "certain", "names"),
    [
        ("fans_windows_1251.csv", "cp1251", True, ["Анна Каренина", "Борис"]),
        ("fans_utf8_with_one_foreign_byte.csv", "utf-8", False, ["Zoë", "René"]),
    ],
)
def test_the_encoding_is_guessed_well(name: str, encoding: str, certain: bool, names: list[str]) -> None:
    sheet, rows = sample(name)
    assert [cells[1] for cells in rows.values()] == names
    assert (sheet.found.encoding, sheet.found.encoding_certain) == (encoding, certain)
    assert certain or "cp1252" in told(sheet)


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1252", "Adèle"), ("cp1252", "Chloé Müller,José García"), ("cp1250", "Łukasz Żak,Kovács Gergő"),
        ("cp1253", "Γιώργος"), ("cp1254", "Ayşe Yılmaz,Çağrı Şahin"), ("cp1255", "שרה כהן"), ("cp1256", "محمد علي"),
        ("cp932", "田中さくら"), ("gb18030", "王小明,李娜"), ("big5", "陳大文"), ("cp949", "김민지"),
        ("koi8-r", "Анна Каренина"), ("utf-16-le", "Анна,王小明"), ("utf-16-be", "Анна,王小明"), ("utf-32", "Zoë"),
    ],
)  # fmt: skip
def test_names_in_any_usual_encoding_are_read(encoding: str, names: str) -> None:
    text = "Username;Display Name\n" + "".join(f"ada{at};{name}\n" for at, name in enumerate(names.split(",")))
    assert [cells[1] for cells in read(text.encode(encoding))[1].values()] == names.split(",")


def test_an_encoding_can_be_said() -> None:
    content = "Username,Name\nada,Jiří\n".encode("cp1250")
    assert read(content, encoding="Windows-1250")[1][2] == ["ada", "Jiří"]
    for encoding in ("utf-8", "rot13", "nonsense"):
        with pytest.raises(InvalidInput) as caught:
            read(content, encoding=encoding)
        assert caught.value.errors[0].field == "encoding"


def test_a_page_with_a_table_is_read_as_one() -> None:
    assert sample("fans_html_table_named_xls.xls")[1] == {2: ["ada_k", "$12.50"]}
    page = """<!DOCTYPE html><html><head><meta charset=windows-1251><style>td{color:red}</style></head><body>
    <table><tr><td>Menu<td>Home</table>
    <table><thead><tr><th>Username<th>Name<th>Notes</thead>
    <tr><td rowspan=2>ada &amp; co<td>Анна<td>one<br>two</tr><tr><td colspan=2>x<table><tr><td>y</table></tr></table>"""
    sheet, rows = read(page.encode("cp1251"))
    assert rows == {2: ["ada & co", "Анна", "one\ntwo"], 3: ["", "xy", ""]}
    assert "not read: 'Table 1'" in told(sheet)


def test_a_page_without_a_table_is_told_so() -> None:
    with pytest.raises(Unreadable, match="no table"):
        read("<html><body>Please sign in</body></html>")


XML = """<?xml version="1.0"?>{doctype}<?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">
<Worksheet ss:Name="Fans"><Table><Row><Cell><Data ss:Type="String">Username</Data></Cell>
<Cell ss:Index="3"><Data ss:Type="String">Last Seen</Data></Cell></Row>
<Row ss:Index="5"><Cell><Data ss:Type="String">ada{entity}</Data></Cell>
<Cell ss:Index="3"><Data ss:Type="DateTime">2026-11-02T00:00:00.000</Data></Cell></Row>
</Table></Worksheet></Workbook>"""


def test_a_workbook_in_xml_is_read_and_its_entities_are_refused() -> None:
    assert read(XML.format(doctype="", entity=""))[1] == {5: ["ada", "", "2026-11-02"]}
    bomb = XML.format(doctype='<!DOCTYPE x [<!ENTITY a "b">]>', entity="&a;")
    with pytest.raises(Unreadable, match="XML"):
        read(bomb)


def test_a_page_made_to_take_memory_is_refused() -> None:
    cell = "<table><tr><td>" + "x" * (csv_html.CELL_MAX_CHARACTERS + 1)
    row = "<table><tr>" + "<td colspan=200>x" * 200
    for page in (cell, row):
        with pytest.raises(Unreadable, match="longer than can be read"):
            read(page)
    assert len(read("<table><tr><th>Username<tr><td rowspan=1000000000000>ada<tr><td>x</table>")[1]) == 2


def test_lines_that_a_spreadsheet_put_into_one_cell_each_are_split() -> None:
    wanted = {2: ["ada", "Ada, the first", "12,50"], 3: ["bo", "Bo", "7"]}
    text = '"Username;Name;Total Spent"\n"ada;Ada, the first;12,50"\n"bo;Bo;7"\n'
    assert read(text)[1] == wanted
    rows = [["Username;Name;Total Spent"], ["ada;Ada, the first;12", "50"], ["bo;Bo;7"]]
    assert read(workbook(Fans=rows))[1] == wanted
    assert read('Username\n"a,b;c"\n')[0].header == ["Username"]


def test_a_header_within_the_rows_is_none_of_them() -> None:
    sheet, rows = read("Username,Name\nada,Ada\nUsername,Name\nbo,Bo\n")
    assert (list(rows), "repeat the header were left out: 1." in told(sheet)) == ([2, 4], True)


def test_an_excel_text_in_unicode_is_read() -> None:
    content = "Username\tDisplay Name\r\nada\tZoë\r\n".encode("utf-16")
    sheet, rows = read(content)
    assert (sheet.found.encoding, sheet.found.delimiter, rows) == ("utf-16", "\t", {2: ["ada", "Zoë"]})


def test_a_spreadsheet_of_opendocument_is_read() -> None:
    sheet, rows = sample("spreadsheet_of_opendocument.ods")
    assert sheet.found.header_row == 5
    assert rows == {
        6: ["ada_k", "Zoë", "12.5 USD", "2026-11-02", "likes\ncats"],
        7: ["bo.w", "", "1234.56", "2026-11-03 10:00:05", ""],
    }


def test_a_spreadsheet_of_opendocument_that_repeats_without_end_is_refused() -> None:
    target = io.BytesIO()
    with (
        zipfile.ZipFile(FILES / "spreadsheet_of_opendocument.ods") as archive,
        zipfile.ZipFile(target, "w") as copy,
    ):
        for info in archive.infolist():
            text = archive.read(info)
            if info.filename == "content.xml":
                assert b"<text:p>bo.w" in text
                cell = b"<table:table-cell "
                many = cell + b'table:number-columns-repeated="900000000" '
                text = text.replace(cell + b'office:value-type="string"><text:p>bo.w', many + b"><text:p>bo.w")
                assert b"900000000" in text
            copy.writestr(info, text)
    with pytest.raises(Unreadable):
        read(target.getvalue())


def test_number_formats_of_a_workbook_in_xml_are_read() -> None:
    style = '<Styles><Style ss:ID="e"><NumberFormat ss:Format="Euro Currency"/></Style></Styles>'
    text = XML.format(doctype="", entity="").replace("<Worksheet", style + "<Worksheet", 1)
    euros = (
        '<Cell ss:Index="2" ss:StyleID="e"><Data ss:Type="Number">12.5</Data></Cell><Cell ss:Index="3"><Data ss:Type="D'
    )
    assert read(text.replace('<Cell ss:Index="3"><Data ss:Type="D', euros))[1][5][1] == "€ 12.5"
