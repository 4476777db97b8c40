#!/usr/bin/env bash
# polars writes a Duration of 30 hours to a workbook as the bare number 1.25, and reads its own file as a float.
#
# Versions: polars 2.1.0, XlsxWriter 3.3.1, fastexcel 0.21.0, tablib 3.10.0, openpyxl 3.1.5, Python 3.11.
#
# Dates and times get a number format, a Duration none: 1.25 of what, the file does not say, while write_csv refuses the
# column (ComputeError). The reader does know durations: the same 30 hours, written by openpyxl, come back as a Duration.
# "Time to the first answer" or "length of a stay" so turns into days in a report that says hours or seconds elsewhere.
#
# Output seen:
#   polars write_csv: ComputeError
#   polars read_excel of its own file: Float64 [1.25]
#   polars read_excel of tablib's file: Duration [datetime.timedelta(days=1, seconds=21600)]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    'polars==2.1.0' 'XlsxWriter==3.3.1' 'fastexcel==0.21.0' 'tablib==3.10.0' 'openpyxl==3.1.5'
cat > probe.py <<'PY'
from datetime import timedelta
from pathlib import Path

import polars
import tablib

stay = timedelta(hours=30)
frame = polars.DataFrame({"stay": [stay]})
try:
    frame.write_csv()
except polars.exceptions.ComputeError as error:
    print("polars write_csv:", type(error).__name__)
frame.write_excel("own.xlsx")
Path("tablib.xlsx").write_bytes(tablib.Dataset((stay,), headers=["stay"]).export("xlsx"))
for whose, path in (("its own", "own.xlsx"), ("tablib's", "tablib.xlsx")):
    read = polars.read_excel(path)["stay"]
    print(f"polars read_excel of {whose} file:", read.dtype.base_type().__name__, read.to_list())
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
polars write_csv: ComputeError
polars read_excel of its own file: Float64 [1.25]
polars read_excel of tablib's file: Duration [datetime.timedelta(days=1, seconds=21600)]
EOF
