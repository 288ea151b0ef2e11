"""Reads with Mistral's own client: python mistral.py BASE PICTURE PDF

PDF has two scanned pages. Afterwards, the steps of Open WebUI's loader, which uses no SDK.
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

from mistralai.client import Mistral
from mistralai.client.errors import SDKError

base, picture, pdf = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


def data(path, kind):
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


client = Mistral(api_key="none", server_url=base)
ocr = client.ocr
answer = ocr.process(
    model="mistral-ocr-latest",
    document={"type": "image_url", "image_url": data(picture, "image/jpeg")},
)
assert answer.usage_info.pages_processed == 1, answer
assert answer.usage_info.doc_size_bytes == picture.stat().st_size
page = answer.pages[0]
assert "CORNER BAKERY" in page.markdown
# The client asks for blocks unless told otherwise.
assert any(block.type in ("text", "title") and "CORNER" in block.content for block in page.blocks), page.blocks
for block in page.blocks:
    assert not getattr(block, "is_unknown", False), block
    assert block.top_left_x < block.bottom_right_x <= page.dimensions.width + 50

# Uploaded, listed, read by id and by link, deleted.
file = client.files.upload(file={"file_name": pdf.name, "content": pdf.read_bytes()}, purpose="ocr")
assert file.filename == pdf.name and file.size_bytes == pdf.stat().st_size, file
assert file.mimetype == "application/pdf" and file.purpose == "ocr"
assert [f.id for f in client.files.list().data] == [file.id]
assert client.files.retrieve(file_id=file.id).expires_at > file.created_at
assert client.files.download(file_id=file.id).read() == pdf.read_bytes()
link = client.files.get_signed_url(file_id=file.id, expiry=1).url
with urllib.request.urlopen(link) as response:
    assert response.read() == pdf.read_bytes()
whole = ocr.process(model="m", document={"type": "file", "file_id": file.id}, include_blocks=False)
assert [p.index for p in whole.pages] == [0, 1] and not whole.pages[0].blocks
linked = ocr.process(model="m", document={"type": "document_url", "document_url": link}, pages=[1])
assert [p.index for p in linked.pages] == [1] and linked.pages[0].markdown == whole.pages[1].markdown
ranges = ocr.process(model="m", document={"type": "file", "file_id": file.id}, pages="0-1")
assert ranges.usage_info.pages_processed == 2
for granularity in ["page", "word", "block"]:
    scored = ocr.process(
        model="m",
        document={"type": "file", "file_id": file.id},
        pages=[0],
        confidence_scores_granularity=granularity,
    ).pages[0]
    scores = scored.confidence_scores
    assert 0.5 < scores.minimum_page_confidence_score <= scores.average_page_confidence_score <= 1
    if granularity == "word":
        words = scores.word_confidence_scores
        assert len(words) > 20
        for word in words:
            at = scored.markdown[word.start_index :]
            assert at.replace("\\", "").startswith(word.text.replace("\\", "")), word
    else:
        assert not scores.word_confidence_scores
    blocks = [block.confidence_scores for block in scored.blocks]
    assert all(blocks) if granularity == "block" else not any(blocks)


def refused(code, **more):
    """A request that can't be met is refused, and says why."""
    try:
        ocr.process(**{"model": "m", "document": {"type": "file", "file_id": file.id}, **more})
    except SDKError as error:
        problem = json.loads(error.body)
        assert problem["code"] == code, problem
        return problem
    raise AssertionError(more)


schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
assert refused("not_supported", document_annotation_format=schema)["field"] == "document_annotation_format"
assert refused("not_supported", bbox_annotation_format=schema)["field"] == "bbox_annotation_format"
assert refused("no_such_page", pages=[0, 7])["field"] == "pages"
refused("invalid_json", pages="1-")
refused("link_invalid", document={"type": "document_url", "document_url": link[:-1] + ("0" if link[-1] != "0" else "1")})
deleted = client.files.delete(file_id=file.id)
assert deleted.deleted and deleted.id == file.id
refused("not_found")
refused("link_invalid", document={"type": "document_url", "document_url": link})
try:
    urllib.request.urlopen(link)
    raise AssertionError("the file is gone")
except urllib.error.HTTPError as error:
    assert error.code in (401, 404), error


def call(method, path, body=None, headers=None):
    request = urllib.request.Request(f"{base}/v1{path}", body, headers or {}, method=method)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


# Open WebUI: a form with the type of its file, a link for an hour, the link as document, and a deletion.
boundary = "6f8d1b"
form = b"".join([
    f'--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n'.encode(),
    b'Content-Disposition: form-data; name="purpose"\r\n\r\nocr\r\n',
    f'--{boundary}\r\nContent-Type: application/pdf\r\n'.encode(),
    f'Content-Disposition: form-data; name="file"; filename="{pdf.name}"\r\n\r\n'.encode(),
    pdf.read_bytes(),
    f"\r\n--{boundary}--\r\n".encode(),
])
uploaded = call("POST", "/files", form, {"Content-Type": f"multipart/form-data; boundary={boundary}"})["id"]
url = call("GET", f"/files/{uploaded}/url?expiry=1")["url"]
body = {
    "model": "mistral-ocr-latest",
    "document": {"type": "document_url", "document_url": url},
    "include_image_base64": False,
}
answer = call("POST", "/ocr", json.dumps(body).encode(), {"Content-Type": "application/json"})
for index, page in enumerate(answer["pages"]):
    assert page["index"] == index and page["markdown"].strip() == whole.pages[index].markdown.strip()
call("DELETE", f"/files/{uploaded}")
assert call("GET", "/files")["data"] == []
print("Mistral's client and Open WebUI's loader: ok")
