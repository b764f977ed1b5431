"""Asks services of AWS by the SDK of AWS and by that of a model, with the keys of the environment alone."""

import io

import boto3
from anthropic import AnthropicBedrock
from botocore.config import Config
from botocore.exceptions import ClientError

HOST = "https://forge.test"
PLAIN = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0})
GIVEN = {"endpoint_url": HOST, "config": PLAIN}
ASKED = [{"role": "user", "content": "who signed it?"}]

storage = boto3.client("s3", **GIVEN)
storage.put_object(
    Bucket="a-bucket", Key="streams /of  b\u00fctes", Body=io.BytesIO(bytes(300_000))
)
storage.put_object(Bucket="a-bucket", Key="a//b/../c+d", Body=b"small", Metadata={"x": "one  two"})
print(storage.get_object(Bucket="a-bucket", Key="x y")["Body"].read().decode())
print(boto3.client("sts", **GIVEN).get_caller_identity()["Account"])
boto3.client("bedrock-runtime", **GIVEN).invoke_model(modelId="m:0/x", body=b"{}")
model = AnthropicBedrock(base_url=HOST, max_retries=0)
print(model.messages.create(model="m", max_tokens=9, messages=ASKED).content[0].text)
try:
    storage.delete_object(Bucket="a-bucket", Key="x")
except ClientError as error:
    print(error)
