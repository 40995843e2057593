"""A bucket of S3, or of anything that speaks its protocol, as an object store.

Rules of this package:

* `store` and `store_async` are the classes that are handed out; they only delegate. Importing them loads no botocore.
* Decisions stand in `controlroom.policy` as flows that yield `Call` and `Calls`; `performer` and `performer_async` perform
  those: the same options, the same retries, the same errors in both colours.
* Every exception of botocore, aiobotocore and aiohttp is translated once, in `classify`.
* What a server does is found out, in `capabilities`; what it ignores is refused, never promised.
"""

from __future__ import annotations
