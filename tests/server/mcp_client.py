"""Calls the tools with the protocol's own SDK: python mcp_client.py stdio MAOOCR FOLDER | http URL KEY FOLDER

FOLDER holds `two.pdf`, a PDF of two scanned pages, `long.tif`, which takes long, and `receipt.jpg`. Over HTTP they are sent
as data: URIs.
"""

import asyncio
import base64
import mimetypes
import sys
from pathlib import Path

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


def said(result):
    """A result's text."""
    return "\n".join(block.text for block in result.content if block.type == "text")


async def check(client, place, local, folder):
    """Every tool, with a PDF and a picture."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    wanted = {"read_text", "convert_to_markdown", "make_searchable_pdf", "find_in_document"}
    assert set(tools) == wanted, tools
    assert ("output" in tools["make_searchable_pdf"].input_schema["properties"]) == local

    text = await client.call_tool("read_text", {"uri": place("receipt.jpg")})
    assert not text.is_error and "CORNER BAKERY" in said(text), text

    pages = []

    async def progress(done, total, message):
        pages.append((done, total))

    text = await client.call_tool("read_text", {"uri": place("two.pdf")}, progress_callback=progress)
    assert "Region-based" in said(text) and "Compiling serde" in said(text), text
    assert pages == [(1, 2), (2, 2)], pages
    second = await client.call_tool("convert_to_markdown", {"uri": place("two.pdf"), "pages": "2"})
    assert "Compiling serde" in said(second) and "Region-based" not in said(second), second

    found = await client.call_tool("find_in_document", {"uri": place("two.pdf"), "query": "COMPILING Serde"})
    places = found.structured_content["places"]
    assert found.structured_content["count"] == len(places) > 0 and places[0]["page"] == 2, found
    left, top, right, bottom = places[0]["box"]
    assert left < right and top < bottom

    made = await client.call_tool("make_searchable_pdf", {"uri": place("receipt.jpg")})
    link = next(block for block in made.content if block.type == "resource_link")
    assert link.mime_type == "application/pdf" and link.name.endswith(".pdf"), link
    assert str(link.uri) in [str(resource.uri) for resource in (await client.list_resources()).resources]
    contents = (await client.read_resource(link.uri)).contents[0]
    pdf = base64.b64decode(contents.blob)
    assert pdf.startswith(b"%PDF-") and len(pdf) == link.size
    again = await client.call_tool("read_text", {"uri": str(link.uri)})
    assert "CORNER BAKERY" in said(again), again
    (folder / "made.pdf").write_bytes(pdf)

    # What can't be done is said in words, and named.
    for tool, arguments, code in [
        ("read_text", {"uri": "data:image/png;base64,aGVsbG8="}, "unknown_format"),
        ("read_text", {"uri": place("two.pdf"), "pages": "7"}, "no_pages"),
        ("read_text", {"uri": place("two.pdf"), "pages": "x"}, "invalid_pages"),
        ("read_text", {"uri": place("two.pdf"), "colour": "red"}, "invalid_arguments"),
        ("read_text", {"uri": place("receipt.jpg"), "language": "klingon"}, "invalid_requirements"),
        ("find_in_document", {"uri": place("two.pdf"), "query": " "}, "invalid_arguments"),
        ("convert_to_markdown", {"uri": "https://example.com/a.pdf"}, "url_not_allowed"),
        ("convert_to_markdown", {"uri": "/etc/passwd"}, "path_not_allowed"),
        ("convert_to_markdown", {"uri": "file:///etc/passwd"}, "path_not_allowed"),
    ]:
        refused = await client.call_tool(tool, arguments)
        assert refused.is_error and refused.structured_content["code"] == code, (tool, arguments, refused)
        assert code in said(refused)


async def cancelled(client, place):
    """A call that is given up frees the server, though its document is long."""
    call = asyncio.create_task(client.call_tool("read_text", {"uri": place("long.tif")}))
    await asyncio.sleep(2)
    call.cancel()
    try:
        await call
        raise AssertionError("it was read within two seconds")
    except asyncio.CancelledError:
        pass
    # The server has one thread: it would wait for the rest of the document.
    async with asyncio.timeout(12):
        text = await client.call_tool("read_text", {"uri": place("receipt.jpg")})
    assert "CORNER BAKERY" in said(text)


async def files(client, folder):
    """PDFs are written below the folder, and nowhere else."""
    made = await client.call_tool("make_searchable_pdf", {"uri": "receipt.jpg", "output": "new.pdf"})
    assert not made.is_error and (folder / "new.pdf").read_bytes().startswith(b"%PDF-"), made
    for output, code in [
        ("new.pdf", "file_exists"),
        ("../out.pdf", "file_not_written"),
        ("/tmp/out.pdf", "path_not_allowed"),
    ]:
        refused = await client.call_tool("make_searchable_pdf", {"uri": "receipt.jpg", "output": output})
        assert refused.is_error and refused.structured_content["code"] == code, (output, refused)
    absolute = await client.call_tool("read_text", {"uri": (folder / "receipt.jpg").as_uri()})
    assert "CORNER BAKERY" in said(absolute), absolute
    for outside in ["../secret.png", "link.png"]:
        refused = await client.call_tool("read_text", {"uri": outside})
        assert refused.structured_content["code"] == "path_not_allowed", (outside, refused)


async def main():
    way, *rest = sys.argv[1:]
    for mode in ["auto", "legacy"]:
        if way == "stdio":
            command, folder = rest[0], Path(rest[1])
            arguments = ["mcp", "--offline", "--device", "cpu", "--root", str(folder)]
            parameters = StdioServerParameters(command=command, args=arguments)
            async with Client(stdio_client(parameters), mode=mode) as client:
                await check(client, str, True, folder)
                if mode == "auto":
                    await files(client, folder)
                await cancelled(client, str)
        else:
            url, key, folder = rest[0], rest[1], Path(rest[2])

            def place(name):
                data = (folder / name).read_bytes()
                kind = mimetypes.guess_type(name)[0]
                return f"data:{kind};base64,{base64.b64encode(data).decode()}"

            headers = {"Authorization": f"Bearer {key}"}
            async with httpx2.AsyncClient(headers=headers, timeout=120) as http:
                transport = streamable_http_client(url, http_client=http)
                async with Client(transport, mode=mode) as client:
                    await check(client, place, False, folder)
                    if mode == "auto":
                        await cancelled(client, place)
        print(f"{way} {mode}: ok")


asyncio.run(main())
