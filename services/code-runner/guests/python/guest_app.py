"""The Python guest: reads a request, runs `main(input)`, says what became of it.

Everything that a user's code can import is imported here, because nothing can be loaded later.
"""

# ruff: noqa: F401, S102, BLE001 - imports for the snapshot; running the user's code is its purpose
import abc
import array
import asyncio
import base64
import binascii
import bisect
import calendar
import cmath
import codecs
import collections
import collections.abc
import colorsys
import contextlib
import copy
import csv
import dataclasses
import datetime
import decimal
import difflib
import email
import email.header
import email.message
import email.parser
import email.policy
import email.utils
import encodings.ascii
import encodings.cp1256
import encodings.idna
import encodings.latin_1
import encodings.utf_8
import encodings.utf_8_sig
import encodings.utf_16
import enum
import fractions
import functools
import gc
import hashlib
import heapq
import hmac
import html
import html.parser
import inspect
import io
import itertools
import json
import keyword
import linecache
import locale
import math
import numbers
import operator
import pprint
import random
import re
import secrets
import statistics
import string
import struct
import sys
import textwrap
import time
import traceback
import types
import typing
import unicodedata
import urllib.parse
import uuid
import weakref
import xml.etree.ElementTree
import zlib
import zoneinfo

import box_loop
import mirsal
import phonenumbers
import tzdata
import wit_world

USER_FILE = "code.py"
MOST_DEPTH = 100
_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=True).encode


class WitWorld(wit_world.WitWorld):
    """What the component exports."""

    def execute(self, request: str) -> str:
        """Run, or with `check` only compile; the answer is JSON."""
        asked = json.loads(request)
        random.seed()
        code = asked["code"]
        linecache.cache[USER_FILE] = (len(code), None, code.splitlines(True), USER_FILE)
        if not asked.get("check"):
            sys.stdout = _stream(1)
            sys.stderr = _stream(2)
        try:
            compiled = compile(code, USER_FILE, "exec", dont_inherit=True)
            if asked.get("check"):
                return _dumps({"outcome": "ok", "result": []})
            answer = _dumps({"outcome": "ok", "result": _run(compiled, asked["input"])})
            sys.stdout.flush()
            sys.stderr.flush()
        except MemoryError as error:
            return _failed("memory", error)
        except BaseException as error:
            return _failed("user_error", error)
        return answer


def _stream(descriptor):
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw, 4096), "utf-8", errors="backslashreplace", line_buffering=True
    )


def _run(compiled, given):
    module = types.ModuleType("__main__")
    module.__dict__["__file__"] = USER_FILE
    sys.modules["__main__"] = module
    exec(compiled, module.__dict__)
    main = module.__dict__.get("main")
    if not callable(main):
        raise NameError("define main(input): its return value is the node's output")
    result = main(given)
    if inspect.isawaitable(result):
        result = box_loop.BoxLoop().run_until_complete(_awaited(result))
    return result


async def _awaited(awaitable):
    return await awaitable


def _failed(outcome, error):
    answer = _dumps({"outcome": outcome, "error": _fault_of(error)})
    for stream in (sys.stdout, sys.stderr):
        # A line that was begun is shown too; the user may have put anything in the stream's place.
        with contextlib.suppress(BaseException):
            stream.flush()
    return answer


def _fault_of(error):
    """What the user is told: only places in their own code."""
    fault = {"type": _text(lambda: type(error).__name__), "message": _text(lambda: _message(error))}
    try:
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == USER_FILE
        ]
        if isinstance(error, SyntaxError) and error.filename == USER_FILE:
            fault["line"], fault["column"] = error.lineno, error.offset
            frames = []
        elif frames:
            last = frames[-1]
            fault["line"] = last.lineno
            if last.colno is not None:
                fault["column"] = _column_of(last)
        fault["traceback"] = "".join(traceback.format_list(frames[-20:]))[-8000:]
    except BaseException:
        fault.setdefault("traceback", "")
    return fault


def _column_of(frame):
    """In characters, as an editor counts: the interpreter counts bytes."""
    line = linecache.getline(USER_FILE, frame.lineno)
    return len(line.encode()[: frame.colno].decode("utf-8", "ignore")) + 1


def _message(error):
    text = error.msg if isinstance(error, SyntaxError) and error.msg else str(error)
    if isinstance(error, ModuleNotFoundError):
        text += " (code here has Python's own modules that need no files or network)"
    return text


def _text(make):
    try:
        return str(make())[:2000].encode("utf-8", "replace").decode()
    except BaseException:
        return ""


# zoneinfo itself keeps only eight: the others would have to be read from files.
_ZONES = []


def _warm():
    """Do once at build time what each run does, so that the snapshot has it done."""
    box_loop.install()
    _ZONES.extend(map(zoneinfo.ZoneInfo, zoneinfo.available_timezones()))
    source = "import asyncio\nasync def main(input):\n    await asyncio.sleep(0)\n    return [1]"
    _run(compile(source, USER_FILE, "exec"), {"lead": {"name": "أحمد"}})
    try:
        compile("def f(:", USER_FILE, "exec")
    except SyntaxError as error:
        _fault_of(error)
    try:
        _run(compile("def main(input):\n    return 1 / 0", USER_FILE, "exec"), None)
    except ZeroDivisionError as error:
        _fault_of(error)
    mirsal.parse_date("2026-01-01")
    phonenumbers.PhoneMetadata.load_all()
    for number, region in (("+966501234567", ""), ("01001234567", "EG")):
        mirsal.normalise_phone(number, region)
    sys.path.clear()
    sys.modules.pop("__main__", None)
    # What is here stays: a collection in a run need not look at it, and copies no page of it.
    gc.collect()
    gc.freeze()


_warm()
