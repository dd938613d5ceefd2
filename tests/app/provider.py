"""A small OpenID Connect provider that signs one person in, and can be told to misbehave."""

import base64
import hashlib
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "cairn", "a secret of the tests"


class Provider:
    """What the provider says next; `claims` go into the token."""

    def __init__(self, issuer):
        self.issuer = issuer
        self.key = RSAKey.generate_key(2048, parameters={"kid": "1"})
        self.signs_with = self.key
        self.claims = {}
        self.asked = {}

    def discovery(self):
        """Where everything is."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def token(self, form, authorization):
        """A token for a code; None where code, secret or PKCE verifier do not fit."""
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        fits = (
            form.get("code") == "the-code"
            and authorization == f"Basic {basic}"
            and challenge == self.asked["code_challenge"]
        )
        if not fits:
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": "42", "aud": CLIENT, "iat": now, "exp": now + 60,
            "nonce": self.asked["nonce"],
        } | self.claims  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.signs_with)
        return {"access_token": "access", "token_type": "Bearer", "id_token": signed}


@contextmanager
def running():
    """A provider on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                provider.asked = {key: value[0] for key, value in parse_qs(parts.query).items()}
                query = urlencode({"code": "the-code", "state": provider.asked["state"]})
                self.send_response(302)
                self.send_header("Location", f"{provider.asked['redirect_uri']}?{query}")
                self.end_headers()
            elif parts.path == "/keys":
                self.answer({"keys": [provider.key.as_dict(private=False)]})
            else:
                self.answer(provider.discovery())

        def do_POST(self):
            length = int(self.headers["Content-Length"])
            form = dict(parse_qs(self.rfile.read(length).decode()))
            values = {key: value[0] for key, value in form.items()}
            token = provider.token(values, self.headers.get("Authorization"))
            self.answer(token or {"error": "invalid_grant"}, 200 if token else 400)

        def answer(self, document, status=200):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
