"""Reads a picture with Mistral's own client: python mistral.py BASE PICTURE"""

import base64
import sys

from mistralai.client import Mistral

base, picture = sys.argv[1:]
with open(picture, "rb") as file:
    data = base64.b64encode(file.read()).decode()
client = Mistral(api_key="none", server_url=base)
answer = client.ocr.process(
    model="mistral-ocr-latest",
    document={"type": "image_url", "image_url": f"data:image/jpeg;base64,{data}"},
)
assert answer.usage_info.pages_processed == 1, answer
print(answer.pages[0].markdown)
