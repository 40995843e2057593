"""Cloud references: a text such as ``aws-sm://prod/db#password`` stands for what AWS keeps under that name.

Rules of this package:

* Nothing of AWS is imported before a text is a reference, and nothing is fetched whose value would not be used.
* What is asked for, and in which batches, is a pure flow; botocore and aiobotocore only perform its calls.
* What was fetched is registered with the redaction before anything is said about it, and stands in no message.
* Whatever AWS or botocore raises ends in `controlroom.settings.cloud.classify`.
"""

from __future__ import annotations
