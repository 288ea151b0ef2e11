"""A client as there are many: HTTPS, multipart, server-sent events."""

import http.client
import json
import ssl
import uuid


def context(edge):
    """Believes in nginx's certificate and no other."""
    return ssl.create_default_context(cafile=edge.certificate)


def ask(edge, method, path, body=None, headers=None, source="127.0.0.1"):
    """Status, headers and body of an answer."""
    connection = connect(edge, source)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, content


def connect(edge, source="127.0.0.1"):
    return http.client.HTTPSConnection(
        "localhost", edge.https, timeout=60, context=context(edge), source_address=(source, 0)
    )


def multipart(parts):
    """A form's body and its type; parts are field, file name, bytes."""
    boundary = uuid.uuid4().hex
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for field, name, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def recognize(edge, key, picture, **options):
    """Reads a picture."""
    body, kind = multipart([("image", "picture.jpg", picture)])
    headers = {"Content-Type": kind, "Authorization": f"Bearer {key}"}
    status, headers, content = ask(edge, "POST", "/api/ocr/recognize", body, headers, **options)
    return status, headers, json.loads(content)
