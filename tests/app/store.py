"""A store that speaks S3: SeaweedFS as a process that can be killed and started again."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import boto3

from tests.app import live

BUCKET = "quarry"
_KEY, _SECRET = "cairn", "known to everybody"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")


class Store:
    """SeaweedFS on this machine.

    Parameters
    ----------
    folder : Path
        For what it stores.
    """

    def __init__(self, folder):
        (folder / "data").mkdir(parents=True)
        access = {"accessKey": _KEY, "secretKey": _SECRET}
        identity = {"name": "tests", "credentials": [access], "actions": ["Admin"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        ports = {name: live.free_port() for name in _PORTS}
        ports |= {f"{name}.grpc": live.free_port() for name in _PORTS}
        self.url = f"http://127.0.0.1:{ports['s3.port']}"
        # It reports to its makers unless told not to.
        settings = {"master.telemetry": "false", "master.volumeSizeLimitMB": 64, "volume.max": 20}
        settings |= {"dir": folder / "data", "s3.config": folder / "s3.json", "s3": "true"}
        settings |= {"ip": "127.0.0.1", "ip.bind": "127.0.0.1"}
        settings |= {"s3.port.iceberg": 0, "s3.port.lance": 0}
        command = [str(Path(sys.executable).with_name("weed")), "server"]
        command += [f"-{name}={value}" for name, value in (settings | ports).items()]
        self.process = live.Process(command, {}, folder / "log", self._answers)
        self.environment = {
            "STORAGE_URL": f"s3://{BUCKET}/cairn",
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self):
        """A client of it that nobody here wrote."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=_KEY,
            aws_secret_access_key=_SECRET,
            region_name="us-east-1",
        )

    def names(self, prefix=""):
        """Names of its objects, parts of uploads included."""
        found = self.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        parts = self.client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for item in [*found, *parts.get("Uploads", [])]]

    def _answers(self):
        try:
            urllib.request.urlopen(self.url, timeout=1)
        except urllib.error.HTTPError as error:
            return error.code == 403
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True
