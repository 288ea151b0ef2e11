"""A server of a vision model, as vLLM, SGLang and llama.cpp are: `POST /v1/chat/completions`. There is no model in it. It
checks every request against the types of OpenAI's own package, and that a JPEG is in it, and answers with a completion made
with these types. It prints its port, then a line of JSON for each request. `POST /mode` with a word sets how it behaves
from then on: right, slow, broken (500), once-broken, garbage, text (no JSON), long, loop, other, key (401), busy (429)."""

import base64
import io
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

KEY = sys.argv[1]
ANSWER = open(sys.argv[2], encoding="utf-8").read()
PARAMETERS = TypeAdapter(CompletionCreateParamsNonStreaming)
FIELDS = CompletionCreateParamsNonStreaming.__required_keys__ | CompletionCreateParamsNonStreaming.__optional_keys__
LOCK = threading.Lock()
TOLD = threading.Lock()
STATE = {"mode": "right", "count": 0}


def say(value):
    # In one piece: requests come side by side.
    with TOLD:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


def completion(text, finish="stop"):
    message = ChatCompletionMessage(role="assistant", content=text)
    return ChatCompletion(
        id="chatcmpl-1",
        object="chat.completion",
        created=int(time.time()),
        model="page-reader",
        choices=[Choice(index=0, finish_reason=finish, logprobs=None, message=message)],
        usage=CompletionUsage(prompt_tokens=700, completion_tokens=90, total_tokens=790),
    ).model_dump_json()


def checked(body):
    """A request's picture's size; an error if the request is wrong."""
    request = json.loads(body)
    assert set(request) <= FIELDS, set(request) - FIELDS
    # Lists are validated as they are read.
    messages = [{**m, "content": list(m["content"])} for m in PARAMETERS.validate_python(request)["messages"]]
    pictures = [p["image_url"]["url"] for m in messages for p in m["content"] if p["type"] == "image_url"]
    texts = [p["text"] for m in messages for p in m["content"] if p["type"] == "text"]
    assert len(pictures) == 1 and len(texts) == 1 and texts[0].strip(), "one picture and a text"
    kind, data = pictures[0].split(",", 1)
    assert kind == "data:image/jpeg;base64", kind
    jpeg = base64.b64decode(data, validate=True)
    assert jpeg[:3] == b"\xff\xd8\xff" and jpeg[-2:] == b"\xff\xd9", "no JPEG"
    return size(jpeg)


def size(jpeg):
    """Width and height from the frame header."""
    stream = io.BytesIO(jpeg[2:])
    while True:
        _, marker = stream.read(2)
        length = int.from_bytes(stream.read(2), "big")
        data = stream.read(length - 2)
        if 0xC0 <= marker <= 0xC2:
            return int.from_bytes(data[3:5], "big"), int.from_bytes(data[1:3], "big")


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/mode":
            with LOCK:
                STATE["mode"], STATE["count"] = body.decode(), 0
            return self.answer(200, "{}")
        with LOCK:
            STATE["count"] += 1
            mode, count = STATE["mode"], STATE["count"]
        told = {"path": self.path, "mode": mode, "count": count}
        try:
            assert self.path == "/v1/chat/completions", self.path
            told["size"] = checked(body)
            told["model"] = json.loads(body)["model"]
        except Exception as error:
            say({**told, "wrong": repr(error)[:2000]})
            return self.answer(400, json.dumps({"error": {"message": "invalid request"}}))
        say(told)
        if mode == "key" or self.headers["authorization"] != f"Bearer {KEY}":
            return self.answer(401, json.dumps({"error": {"message": "invalid key"}}))
        if mode == "slow":
            time.sleep(20)
        if mode == "broken" or (mode == "once-broken" and count == 1):
            return self.answer(500, json.dumps({"error": {"message": "out of memory"}}))
        if mode == "busy" and count == 1:
            return self.answer(429, "{}", {"retry-after": "1"})
        if mode == "garbage":
            return self.answer(200, json.dumps({"choices": "none"}))
        if mode == "text":
            return self.answer(200, "<html>a proxy's page</html>")
        if mode == "long":
            return self.answer(200, completion(ANSWER, "length"))
        if mode == "loop":
            return self.answer(200, completion(ANSWER + "\nTotal again" * 200))
        if mode == "other":
            return self.answer(200, completion("I'm sorry, but there is no image for me to look at here."))
        self.answer(200, completion(ANSWER))

    def answer(self, status, text, headers=None):
        body = text.encode()
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            # Nobody waits any more.
            pass

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
say({"port": server.server_port})
server.serve_forever()
