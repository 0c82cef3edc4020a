// The JavaScript guest: reads a request, runs main(input), says what became of it.

import * as mirsal from "./mirsal.js";

const USER_FILE = "code.js";
const OWN_FILE = new Error().fileName;
const evaluate = eval;
const { parse, stringify } = JSON;
const write = { log: console.log.bind(console), error: console.error.bind(console) };
const NO_NAMES = ["fetch", "Request", "Response", "Headers", "WorkerLocation", "location", "addEventListener"];

for (const name of NO_NAMES) delete globalThis[name];
Object.defineProperty(globalThis, "mirsal", { value: Object.freeze({ ...mirsal }), configurable: true });
for (const name of ["log", "info", "debug", "warn", "error", "trace"]) {
  const to = name === "log" || name === "info" || name === "debug" ? write.log : write.error;
  console[name] = (...values) => to(values.map(show).join(" "));
}

function show(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.stack ? `${value}` : String(value);
  if (typeof value === "object" && value !== null) {
    try {
      return stringify(value);
    } catch {
      return Object.prototype.toString.call(value);
    }
  }
  return typeof value === "function" ? `[function ${value.name}]` : String(value);
}

export async function execute(request) {
  const asked = parse(request);
  try {
    if (asked.check) return check(asked.code);
    const main = load(asked.code);
    if (typeof main !== "function") {
      throw new TypeError("define main(input): its return value is the node's output");
    }
    const result = await main(asked.input);
    const text = stringify(result === undefined ? null : result);
    if (text === undefined) throw new TypeError("main(input) returned what JSON cannot hold");
    return `{"outcome":"ok","result":${text}}`;
  } catch (error) {
    return said(error);
  }
}

/** Run the code's top level; the answer is its `main`. */
function load(code) {
  return evaluate(`${code}\n;typeof main === "undefined" ? undefined : main\n//# sourceURL=${USER_FILE}`);
}

/** Whether it parses: the first statement ends it before anything of the user's runs. */
function check(code) {
  const stop = { stopped: true };
  globalThis.__stop = stop;
  const strict = /^\s*["']use strict["']/.test(code) ? '"use strict";' : "";
  try {
    evaluate(`${strict}throw globalThis.__stop;\n${code}\n//# sourceURL=${USER_FILE}`);
  } catch (error) {
    if (error === stop) return '{"outcome":"ok","result":[]}';
    const fault = faultOf(error);
    if (typeof fault.line === "number") fault.line -= 1;
    return stringify({ outcome: "user_error", error: fault });
  }
  return '{"outcome":"ok","result":[]}';
}

function said(error) {
  const fault = faultOf(error);
  const memory = fault.type === "InternalError" && /out of memory/.test(fault.message);
  const text = stringify({ outcome: memory ? "memory" : "user_error", error: fault });
  return text;
}

/** What the user is told: only places in their own code. */
function faultOf(error) {
  if (error === "out of memory") return { type: "InternalError", message: "out of memory" };
  const fault = { type: "Error", message: "", traceback: "" };
  try {
    const isError = error instanceof Error;
    fault.type = isError ? String(error.name).slice(0, 200) : `thrown ${typeof error}`;
    fault.message = String(isError ? error.message : show(error)).slice(0, 2000);
    const frames = isError ? framesOf(String(error.stack)) : [];
    // What cannot be parsed has no place of its own yet: the engine names our file for it.
    const unread = isError && error.name === "SyntaxError" && error.fileName === OWN_FILE;
    const inUserCode = isError && (unread || / > eval$/.test(error.fileName));
    const place = inUserCode ? [error.lineNumber, error.columnNumber] : undefined;
    const [line, column] = place ?? frames[0]?.place ?? [];
    if (Number.isFinite(line)) fault.line = line;
    if (Number.isFinite(column)) fault.column = column;
    fault.traceback = frames.map((frame) => frame.text).join("\n").slice(0, 8000);
  } catch {
    // The user's own error may throw when it is looked at: then what is known must do.
  }
  return fault;
}

function framesOf(stack) {
  const frames = [];
  for (const line of stack.split("\n").slice(0, 100)) {
    const found = /^(.*)@(?:.*)code\.js:(\d+):(\d+)$/.exec(line);
    if (found) {
      const place = [Number(found[2]), Number(found[3])];
      frames.push({ place, text: `  at ${found[1].split("/").pop() || "(top level)"} (${USER_FILE}:${place[0]}:${place[1]})` });
    }
  }
  return frames.slice(0, 20);
}
