/**
 * Feature extraction for FID on CPU, images per second against torch-fidelity, interleaved: the full-size network with
 * random weights on 8-bit images of 32 × 32, resized inside as TensorFlow 1 did. Ends non-zero when nijimi is slower.
 *
 *   npm run bench -- inception     with NIJIMI_PYTHON pointing at a Python that has torch-fidelity
 */
import { interleave, showTimings } from "./lib/interleave.ts";

const ROUNDS = 7;
const IMAGES = 32;

const here = import.meta.dirname;
const own = {
  name: "nijimi",
  command: process.execPath,
  args: [
    "--conditions=@nijimi/source",
    "--import",
    "tsx",
    `${here}/workers/inception.ts`,
    String(IMAGES),
  ],
};
const python = process.env["NIJIMI_PYTHON"];
const theirs = {
  name: "torch-fidelity",
  command: python ?? "",
  args: [`${here}/python/inception.py`, String(IMAGES)],
};
const timings = await interleave(python === undefined ? [own] : [own, theirs], ROUNDS);
const rates = timings.map(({ name, median }) => `${name} ${(IMAGES / median).toFixed(1)} images/s`);
process.stdout.write(`${showTimings(timings)}\n${rates.join(", ")}\n`);
process.exitCode = timings[0].ratio <= 1 ? 0 : 1;
