#!/usr/bin/env bash
# ExcelJS reads a CSV cell of spaces as the number 0, where an empty cell stays empty.
#
# Versions: exceljs 4.4.0, Node 20.
#
# Each cell goes through JavaScript's Number(), and Number("   ") is 0. Tables that are padded to equal widths, or exported
# from a database with CHAR columns, say "nothing known" with spaces: each such fan then has paid 0, the mean falls, and
# nobody can tell the two apart afterwards. The same way takes 0x10 for 16 and a name of 1e3 for 1000.
#
# Output seen:
#   Anna: 12.5
#   Bea: 0
#   Cleo: null
#   1000: 16
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit exceljs@4.4.0
printf '%s\n' 'Anna,12.50' 'Bea,   ' 'Cleo,' '1e3,0x10' > fans.csv
cat > probe.mjs <<'JS'
import ExcelJS from "exceljs";

const sheet = await new ExcelJS.Workbook().csv.readFile("fans.csv");
sheet.eachRow((row) => console.log(`${row.getCell(1).value}: ${JSON.stringify(row.getCell(2).value)}`));
JS
node probe.mjs | tee seen
diff seen - <<'EOF'
Anna: 12.5
Bea: 0
Cleo: null
1000: 16
EOF
