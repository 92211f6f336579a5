"""The operations of S3 that clients use to move models. Signatures are not checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from xml.sax.saxutils import escape

from benchmarks.server._objects import Blob, Key, Objects, Piece, Refusal
from benchmarks.server._wire import Answer, Connection, Request, Span

__all__ = ["Operations"]

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_MIN_PART = 5 * 1024 * 1024
_PAGE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Operations:
    """What each request means.

    Attributes:
        objects: What is held.
        drop_above: Bodies of more bytes are counted and thrown away.
    """

    objects: Objects
    drop_above: int

    def answer(self, request: Request, connection: Connection) -> Answer:
        """Carry out a request, whose body is still to be read, if it is an upload.

        Raises:
            Refusal: as S3 would refuse.
        """
        bucket, _, name = request.path.lstrip("/").partition("/")
        if request.method == "PUT" and name:
            body = self._receive(request.body_size, connection)
            return self._put((bucket, name), request, body)
        body_text = connection.read_body(request.body_size).decode()
        if not name:
            return self._answer_bucket(bucket, request)
        if request.method in {"GET", "HEAD"} and not _is_about_more(request):
            blob = self.objects.get((bucket, name))
            if request.method == "GET" and any(piece.file is None for piece in blob.pieces):
                raise Refusal(status=410, code="Dropped")
            return _read(blob, request.headers)
        if request.method == "POST":
            return self._post((bucket, name), request, body_text)
        if request.method == "DELETE":
            return self._delete((bucket, name), request)
        raise Refusal(status=501, code="NotImplemented")

    def _receive(self, size: int, connection: Connection) -> Piece:
        if size > self.drop_above:
            return connection.drop_body(size)
        return connection.keep_body(size)

    def _answer_bucket(self, bucket: str, request: Request) -> Answer:
        if request.method == "PUT":
            self.objects.add_bucket(bucket)
            return Answer()
        found = self.objects.bucket(bucket)
        if request.method == "HEAD":
            return Answer()
        if request.method == "GET" and request.query.get("list-type") == "2":
            return _xml("ListBucketResult", _listing(bucket, found, request.query))
        raise Refusal(status=501, code="NotImplemented")

    def _put(self, key: Key, request: Request, body: Piece) -> Answer:
        etag = self.objects.new_etag()
        if "partNumber" in request.query:
            upload = self.objects.upload(request.query.get("uploadId", ""))
            upload.parts[int(request.query["partNumber"])] = (body, etag)
        elif request.query.keys() - {"x-id"} or "x-amz-copy-source" in request.headers:
            raise Refusal(status=501, code="NotImplemented")
        else:
            self._publish(key, Blob(pieces=(body,), etag=etag), request)
        return Answer(headers={"ETag": f'"{etag}"'})

    def _post(self, key: Key, request: Request, text: str) -> Answer:
        bucket, name = key
        about = f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(name)}</Key>"
        if "uploads" in request.query:
            begun = f"{about}<UploadId>{self.objects.begin(key)}</UploadId>"
            return _xml("InitiateMultipartUploadResult", begun)
        upload = self.objects.upload(request.query.get("uploadId", ""))
        numbers = [int(each) for each in re.findall(r"<PartNumber>(\d+)</PartNumber>", text)]
        if not numbers or not set(numbers) <= set(upload.parts):
            raise Refusal(status=400, code="InvalidPart")
        pieces = tuple(upload.parts[number][0] for number in numbers)
        if any(piece.size < _MIN_PART for piece in pieces[:-1]):
            raise Refusal(status=400, code="EntityTooSmall")
        etag = f"{self.objects.new_etag()}-{len(numbers)}"
        self._publish(key, Blob(pieces=pieces, etag=etag), request)
        self.objects.end(request.query["uploadId"])
        return _xml("CompleteMultipartUploadResult", f"{about}<ETag>&quot;{etag}&quot;</ETag>")

    def _publish(self, key: Key, blob: Blob, request: Request) -> None:
        wanted = request.headers.get("if-match")
        self.objects.put(
            key,
            blob,
            if_absent=request.headers.get("if-none-match") == "*",
            if_match=None if wanted is None else wanted.strip('"'),
        )

    def _delete(self, key: Key, request: Request) -> Answer:
        if "uploadId" in request.query:
            self.objects.end(request.query["uploadId"])
        else:
            self.objects.delete(key)
        return Answer(status=204)


def _is_about_more(request: Request) -> bool:
    """Whether it asks for an access list, tags, a version or whatever is not kept here."""
    return any(name not in {"x-id", "partNumber"} for name in request.query)


def _read(blob: Blob, headers: Mapping[str, str]) -> Answer:
    told = {
        "ETag": f'"{blob.etag}"',
        "Last-Modified": formatdate(blob.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    if headers.get("if-match", "*").strip('"') not in {"*", blob.etag}:
        raise Refusal(status=412, code="PreconditionFailed")
    if headers.get("if-none-match", "").strip('"') == blob.etag:
        return Answer(status=304, headers=told)
    start, stop = _range(headers.get("range"), blob.size)
    if "range" not in headers:
        return Answer(headers=told, body=Span(pieces=blob.pieces, start=start, stop=stop))
    told["Content-Range"] = f"bytes {start}-{stop - 1}/{blob.size}"
    return Answer(status=206, headers=told, body=Span(pieces=blob.pieces, start=start, stop=stop))


def _range(asked: str | None, size: int) -> tuple[int, int]:
    if asked is None:
        return 0, size
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked)
    if match is None or match.group(0) == "bytes=-":
        raise Refusal(status=400, code="InvalidArgument")
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    else:
        start, stop = max(size - int(last), 0), size
    if start >= stop:
        raise Refusal(status=416, code="InvalidRange")
    return start, stop


def _listing(bucket: str, blobs: Mapping[str, Blob], query: Mapping[str, str]) -> str:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("continuation-token") or query.get("start-after", "")
    rows: dict[str, str] = {}
    for name in sorted(name for name in list(blobs) if name.startswith(prefix)):
        rest = name[len(prefix) :]
        if delimiter and delimiter in rest:
            folder = prefix + rest[: rest.index(delimiter) + len(delimiter)]
            row = f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            rows.setdefault(folder, row)
        else:
            rows[name] = _row(name, blobs[name])
    left = [name for name in rows if name > after]
    page = left[: int(query.get("max-keys") or _PAGE)]
    is_cut = len(page) < len(left)
    return "".join(
        [
            f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>",
            f"<KeyCount>{len(page)}</KeyCount><MaxKeys>{_PAGE}</MaxKeys>",
            f"<IsTruncated>{str(is_cut).lower()}</IsTruncated>",
            f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if is_cut else "",
            *_in_order(rows, page),
        ]
    )


def _in_order(rows: Mapping[str, str], page: Iterable[str]) -> list[str]:
    """Return the rows of objects, then those of folders, as S3 does."""
    return sorted((rows[name] for name in page), key=lambda row: row.startswith("<Common"))


def _row(name: str, blob: Blob) -> str:
    modified = datetime.fromtimestamp(blob.modified, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return (
        f"<Contents><Key>{escape(name)}</Key><LastModified>{modified}</LastModified>"
        f"<ETag>&quot;{blob.etag}&quot;</ETag><Size>{blob.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _xml(root: str, content: str) -> Answer:
    text = f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{_NAMESPACE}">{content}</{root}>'
    return Answer(headers={"Content-Type": "application/xml"}, body=text.encode())
