"""Speaks Google's XML dialect in front of an S3 server without identities: PORT S3_PORT.

It tries our side and the client of `object_store`, not Google's server. Generations are numbers
made from ETags.
"""

import hashlib
import http.client
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

RENAMED = {"x-goog-copy-source": "x-amz-copy-source", "x-goog-storage-class": "x-amz-storage-class"}
PER_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}

# The ETag of each generation that was told.
etags = {}


def generation(etag):
    number = str(int(hashlib.sha256(etag.encode()).hexdigest()[:15], 16))
    etags[number] = etag
    return number


def to_s3(headers):
    for name, value in headers:
        name = name.lower()
        if name == "x-goog-if-generation-match":
            if value == "0":
                yield "if-none-match", "*"
            else:
                yield "if-match", etags.get(value, '"none"')
        elif name == "x-goog-copy-source":
            yield RENAMED[name], "/" + value
        elif name in RENAMED:
            yield RENAMED[name], value
        elif name.startswith("x-goog-meta-"):
            yield name.replace("x-goog-", "x-amz-", 1), value
        elif name != "authorization" and not name.startswith("x-goog-"):
            yield name, value


def to_google(headers):
    for name, value in headers:
        name = name.lower()
        if name.startswith("x-amz-meta-"):
            yield name.replace("x-amz-", "x-goog-", 1), value
        elif name not in PER_CONNECTION and not name.startswith("x-amz-"):
            yield name, value


class Shim(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        server = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in to_s3(self.headers.items()):
            server.putheader(name, value)
        server.endheaders(body)
        response = server.getresponse()
        body = response.read()
        headers = dict(to_google(response.getheaders()))
        etag = headers.get("etag")
        # The ETag of a completed upload is in the body.
        if self.command == "POST" and "uploadId=" in urlsplit(self.path).query:
            found = re.search(r"<ETag>(.*?)</ETag>", body.decode())
            etag = found and found[1].replace("&#34;", '"').replace("&quot;", '"')
        if etag:
            headers["x-goog-generation"] = generation(etag)
        # The length of an answer to HEAD is that of the object.
        if self.command != "HEAD":
            headers["content-length"] = str(len(body))
        self.send_response_only(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        server.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shim).serve_forever()
