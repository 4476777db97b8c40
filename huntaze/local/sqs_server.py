"""Answers SQS and CloudWatch as ministack does, and ends sooner when asked. Touches what sqs.py gives it."""

from hypercorn.config import Config
from ministack.app import main

# A long poll that nobody waits for any more would hold up the end for 3 s, and state is written after that.
Config.graceful_timeout = 0.2

if __name__ == "__main__":
    main()
