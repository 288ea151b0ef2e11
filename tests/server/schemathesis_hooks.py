"""What the fuzzer may send: no valid deadline that no machine could keep, since 504 is the right answer to it."""

import schemathesis

DEADLINE = "x-maoocr-deadline-ms"


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    value = str(headers.get(DEADLINE, ""))
    if value.isdigit() and 0 < int(value) < 60_000:
        headers[DEADLINE] = "60000"
