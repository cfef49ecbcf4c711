"""The deployed HTTP API on a port of its own, with API Gateway's limits.

ministack answers an HTTP API by a host name that few clients can resolve, and keeps some paths (`/health`) for itself.
Here every request goes to the `$default` stage of the API that `<data>/api-id` names, at its root, as
`https://<api>.execute-api.<region>.amazonaws.com/` would take it.

Limits: "Quotas for configuring and running an HTTP API in API Gateway" (API Gateway Developer Guide), "Lambda quotas"
(Lambda Developer Guide). Answers to what goes wrong behind the gateway: "Create AWS Lambda proxy integrations for HTTP
APIs" (API Gateway Developer Guide).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from ministack import app as ministack
from ministack.core import iam_evaluator
from ministack.core.responses import set_request_account_id, set_request_region
from ministack.core.sigv4 import decode_header_value
from ministack.services import apigateway, lambda_svc
from ministack.services.cloudformation import provisioners

log = logging.getLogger("front")

LARGEST_BODY = 10 * 1024 * 1024
LARGEST_HEAD = 10_240
"""Bytes of the request line and the header values together."""

INTEGRATION_SECONDS = 30
LARGEST_LAMBDA_ANSWER = 6_291_556
"""Bytes of the JSON that a function returns ("Response payload size exceeded maximum allowed payload size")."""

STAGE = "$default"

_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

Answer = tuple[int, dict[str, Any], bytes]


def problem(status: int, message: str) -> Answer:
    return (
        status,
        {"Content-Type": "application/json"},
        json.dumps({"message": message}, separators=(",", ":")).encode(),
    )


class Front:
    """An ASGI application."""

    def __init__(self, api_id_file: Path) -> None:
        self.api_id_file = api_id_file
        self.running: set[asyncio.Task[Answer]] = set()

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await no_lifespan(receive, send)
        elif scope["type"] == "http":
            status, headers, body = await self.answer(scope, receive)
            headers.setdefault("apigw-requestid", secrets.token_urlsafe(12))
            # A function may answer without a body.
            body = b"" if scope["method"] == "HEAD" or body is None else body
            await ministack._send_response(ministack._with_date_header(send), status, headers, body)

    async def answer(self, scope: dict, receive: Any) -> Answer:
        if head_size(scope) > LARGEST_HEAD:
            return problem(431, "Request Header Fields Too Large")
        body = await read_body(receive)
        if body is None:
            return problem(413, "Request Entity Too Large")
        api_id = self.api_id()
        if api_id is None:
            return problem(503, f"no HTTP API is deployed: {self.api_id_file} does not name one")
        call = asyncio.create_task(invoke(api_id, scope, body))
        self.running.add(call)
        call.add_done_callback(self.running.discard)
        # A function that takes longer runs on, as it does in Lambda; its answer is lost.
        await asyncio.wait({call}, timeout=INTEGRATION_SECONDS)
        if not call.done():
            return problem(503, "Service Unavailable")
        if call.exception():
            log.error("HTTP API %s", api_id, exc_info=call.exception())
            return problem(500, "Internal Server Error")
        return call.result()

    def api_id(self) -> str | None:
        try:
            return self.api_id_file.read_text().strip() or None
        except FileNotFoundError:
            return None


def head_size(scope: dict) -> int:
    target = len(scope["raw_path"]) + len(scope["query_string"]) + (1 if scope["query_string"] else 0)
    request_line = len(f"{scope['method']}  HTTP/1.1\r\n") + target
    return request_line + sum(len(value) for _, value in scope["headers"])


async def read_body(receive: Any) -> bytes | None:
    """The whole body; None if it is too large. The rest of a body that is too large is read and dropped."""
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        size += len(message.get("body", b""))
        pieces = [*pieces, message.get("body", b"")] if size <= LARGEST_BODY else []
        more = message.get("more_body", False)
    return b"".join(pieces) if size <= LARGEST_BODY else None


async def invoke(api_id: str, scope: dict, body: bytes) -> Answer:
    owner = next(
        ((account, region) for (account, region, api), _ in apigateway._apis.all_items() if api == api_id), None
    )
    if owner is None:
        return problem(404, "Not Found")
    set_request_account_id(owner[0])
    set_request_region(owner[1])
    method, raw_query = scope["method"], scope["query_string"].decode()
    path = decoded(scope["raw_path"].decode("ascii"))
    if path is None:
        return problem(400, "Bad Request")
    query = parse_qs(raw_query, keep_blank_values=True)
    headers = event_headers(scope)
    iam_evaluator.pin_signed_request(method, scope["raw_path"].decode("ascii"), query, scope["headers"])
    iam_evaluator.pin_signed_body(body)
    denied = ministack._enforce_execute_api(api_id, STAGE, method, path, headers, query)
    if denied:
        return denied
    return await apigateway.handle_execute(
        api_id, STAGE, path, method, headers, body, query, raw_query_string=raw_query
    )


def decoded(raw: str) -> str | None:
    """What the event has as rawPath: the path decoded twice, and cut in between at what has become a question mark;
    None where the gateway itself refuses it, for what is no escape after the first time. All ten paths of
    vokerhttp/testdata/ingress-paths.json in hotsock/voker pull request 8, captured on AWS, come out so."""
    once = unquote(raw).partition("?")[0]
    return None if _NO_ESCAPE.search(once) else unquote(once)


def event_headers(scope: dict) -> dict[str, str]:
    """Lower-case names, values of repeated headers joined by commas, and what the gateway itself adds."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), decode_header_value(value)
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    client = (scope.get("client") or ("127.0.0.1",))[0]
    forwarded = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded}, {client}" if forwarded else client
    headers.setdefault("x-forwarded-proto", "http")
    headers.setdefault("x-forwarded-port", str((scope.get("server") or ("", 80))[1]))
    return headers


async def no_lifespan(receive: Any, send: Any) -> None:
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return


def gateway_answer(convert: Any) -> Any:
    """What an HTTP API says of a function that failed, was throttled or answered too much, where ministack hands the
    function's error to the client."""

    def converted(result: dict[str, Any]) -> tuple[dict | None, str | None]:
        if result.get("throttle"):
            return proxy_answer(503, "Service Unavailable"), None
        if result.get("error") or answer_size(result.get("body")) > LARGEST_LAMBDA_ANSWER:
            return proxy_answer(500, "Internal Server Error"), None
        return convert(result)

    return converted


def proxy_answer(status: int, message: str) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"message": message}, separators=(",", ":")),
    }


def answer_size(answer: Any) -> int:
    return len(answer) if isinstance(answer, (str, bytes)) else len(json.dumps(answer, ensure_ascii=False).encode())


def reachable(change: Any) -> Any:
    """With an address in `ApiEndpoint` that every client can resolve; functions call the API by it. It leads past the
    front, to whichever API it names."""

    def changed(*arguments: Any, **options: Any) -> tuple[str, dict[str, str]]:
        api_id, attributes = change(*arguments, **options)
        address = f"http://127.0.0.1:{apigateway._PORT}/_aws/execute-api/{api_id}/{STAGE}"
        return api_id, {**attributes, "ApiEndpoint": address}

    return changed


def install() -> None:
    of_cloudformation = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    for change in ("create", "update"):
        of_cloudformation[change] = reachable(of_cloudformation[change])
    lambda_svc.lambda_execute_result_to_api_proxy_response = gateway_answer(
        lambda_svc.lambda_execute_result_to_api_proxy_response
    )
