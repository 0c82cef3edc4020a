// Builds the JavaScript guest: node build.mjs <guest.wit> <output.wasm>

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { componentize } from "@bytecodealliance/componentize-js";

const [, , witPath, output] = process.argv;
const { component } = await componentize({
  sourcePath: fileURLToPath(new URL("./guest.js", import.meta.url)),
  witPath,
  worldName: "guest",
  // Random numbers, the clock and standard output are all that it has of a machine.
  disableFeatures: ["http", "fetch-event"],
});
await writeFile(output, component);
