"""Reads with OpenAI's own client: python openai_client.py BASE PICTURE PDF

PDF has two scanned pages.
"""

import base64
import sys
from pathlib import Path

from openai import OpenAI, UnprocessableEntityError

base, picture, pdf = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


def data(path, kind):
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


client = OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0)
assert [model.id for model in client.models.list()] == ["maoocr"]
assert client.models.retrieve("maoocr").object == "model"
image = {"type": "image_url", "image_url": {"url": data(picture, "image/jpeg"), "detail": "high"}}
file = {"type": "file", "file": {"filename": "two.pdf", "file_data": data(pdf, "application/pdf")}}
text = {"type": "text", "text": "Transcribe this."}


def messages(*parts):
    return [
        {"role": "system", "content": "You read documents."},
        {"role": "user", "content": list(parts)},
        {"role": "user", "content": "As Markdown, please."},
    ]


answer = client.chat.completions.create(
    model="gpt-5", messages=messages(text, image), temperature=0, max_completion_tokens=4096
)
choice = answer.choices[0]
assert "CORNER BAKERY" in choice.message.content and choice.finish_reason == "stop", answer
assert answer.model == "gpt-5" and answer.object == "chat.completion"
assert answer.usage.prompt_tokens == 1 and answer.usage.total_tokens == answer.usage.completion_tokens + 1

both = client.chat.completions.create(model="m", messages=messages(file, image))
content = both.choices[0].message.content
assert content.index("Region-based") < content.index("Compiling serde") < content.index("CORNER BAKERY")
assert both.usage.prompt_tokens == 3

pieces, usage = [], None
for chunk in client.chat.completions.create(
    model="m", messages=messages(file, image), stream=True, stream_options={"include_usage": True}
):
    if chunk.usage:
        usage = chunk.usage
    pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
assert len(pieces) > 3 and "".join(pieces) == content, pieces
assert usage == both.usage

uploaded = client.files.create(file=pdf, purpose="ocr")
by_id = client.chat.completions.create(
    model="m", messages=messages({"type": "file", "file": {"file_id": uploaded.id}})
)
assert "Compiling serde" in by_id.choices[0].message.content
another = client.files.create(file=pdf, purpose="ocr")
# Page by page, as the client goes through them.
assert [file.id for file in client.files.list(limit=1)] == [another.id, uploaded.id]
client.files.delete(another.id)
client.files.delete(uploaded.id)

for more, code in [
    ({"messages": [{"role": "user", "content": "Hello"}]}, "document_missing"),
    ({"messages": messages(image), "n": 2}, "not_supported"),
    ({"messages": messages(image), "response_format": {"type": "json_object"}}, "not_supported"),
    ({"messages": messages({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})}, "invalid_json"),
]:
    try:
        client.chat.completions.create(model="m", **more)
        raise AssertionError(more)
    except UnprocessableEntityError as error:
        assert error.code == code and error.body["message"], (more, error.body)
print("OpenAI's client: ok")
