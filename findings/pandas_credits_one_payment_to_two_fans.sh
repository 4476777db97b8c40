#!/usr/bin/env bash
# pandas.merge counts one payment for two fans with neighbouring ids of 17 digits as soon as another payment has no fan.
#
# Versions: pandas 3.1.1, numpy 2.4.6, Python 3.11.
#
# A blank cell makes the column of ids one of doubles, which is known; merge() takes whole numbers and doubles for equal by
# comparing both as doubles, without a warning. So the payment matches every fan whose id rounds to the same double, and
# the sum after the merge is twice what came in. Without the blank row, all is well: a test with whole data finds nothing.
# polars refuses to join the two kinds of column.
#
# Output seen:
#   no blank: Anna 1250; sum 1250
#   a blank below: Anna 1250, Bea 1250; sum 2500
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'pandas==3.1.1' 'numpy==2.4.6'
cat > probe.py <<'PY'
import warnings
from io import StringIO

import pandas

warnings.simplefilter("error")  # there is none
fans = pandas.read_csv(StringIO("fan,name\n12345678901234567,Anna\n12345678901234568,Bea\n"))
for name, blank in (("no blank", ""), ("a blank below", ",300\n")):
    payments = pandas.read_csv(StringIO("fan,cents\n12345678901234567,1250\n" + blank))
    merged = fans.merge(payments, on="fan")
    told = ", ".join(f"{who} {cents}" for who, cents in zip(merged["name"], merged["cents"]))
    print(f"{name}: {told}; sum {merged['cents'].sum()}")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
no blank: Anna 1250; sum 1250
a blank below: Anna 1250, Bea 1250; sum 2500
EOF
