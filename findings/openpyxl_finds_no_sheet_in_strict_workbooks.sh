#!/usr/bin/env bash
# openpyxl opens a workbook saved as "Strict Open XML" without an error and finds no sheet in it.
#
# Versions: openpyxl 3.1.5, pandas 3.1.1, Python 3.11.
#
# Excel offers that format beside the usual one, with the same ending .xlsx; only the names of the XML namespaces differ
# (ISO/IEC 29500 strict). openpyxl reads it as a workbook without sheets: a loop over the sheets imports nothing and
# reports success. pandas, on top of it, only says that worksheet 0 is invalid. The one sign is a UserWarning about a
# specification for 0. A reader must ask whether there are sheets at all, or map the namespaces before.
#
# Output seen:
#   usual: sheets ['Fans'], rows 2
#   strict: sheets [], error none
#   strict, pandas: ValueError Worksheet index 0 is invalid, 0 worksheets found
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'openpyxl==3.1.5' 'pandas==3.1.1'
cat > probe.py <<'PY'
import warnings
import zipfile

import openpyxl
import pandas

warnings.simplefilter("ignore")
book = openpyxl.Workbook()
book.active.title = "Fans"
book.active.append(["Username", "Total Spent"])
book.active.append(["ada", 12])
book.save("usual.xlsx")
# What Excel's other format differs in: https://www.iso.org/standard/71691.html
NAMES = {
    b"http://schemas.openxmlformats.org/spreadsheetml/2006/main": b"http://purl.oclc.org/ooxml/spreadsheetml/main",
    b"http://schemas.openxmlformats.org/officeDocument/2006/relationships": b"http://purl.oclc.org/ooxml/officeDocument/relationships",
}
with zipfile.ZipFile("usual.xlsx") as usual, zipfile.ZipFile("strict.xlsx", "w") as strict:
    for name in usual.namelist():
        content = usual.read(name)
        for old, new in NAMES.items():
            content = content.replace(old, new)
        strict.writestr(name, content)

usual = openpyxl.load_workbook("usual.xlsx")
print(f"usual: sheets {usual.sheetnames}, rows {usual['Fans'].max_row}")
strict = openpyxl.load_workbook("strict.xlsx")
print(f"strict: sheets {strict.sheetnames}, error none")
try:
    pandas.read_excel("strict.xlsx")
except Exception as error:
    print("strict, pandas:", type(error).__name__, error)
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
usual: sheets ['Fans'], rows 2
strict: sheets [], error none
strict, pandas: ValueError Worksheet index 0 is invalid, 0 worksheets found
EOF
