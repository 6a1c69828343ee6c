/** nijimi's side of the FID bench: FILE FILE DIMENSIONS OUTCOME, see `bench/lib/interleave.ts` for the protocol. */
import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import { engineProduct, frechetDistance, measure, moments } from "nijimi/metrics";
import { float32, type Tensor } from "nijimi/tensor";
import { serve } from "../lib/contender.ts";

const BATCH = 500;
const [first, second, dimensionsText, outcome] = process.argv.slice(2);
const dimensions = Number(dimensionsText);

function* batches(file: string): Generator<Tensor> {
  const descriptor = openSync(file, "r");
  const bytes = new Uint8Array(BATCH * dimensions * 4);
  for (;;) {
    const length = readSync(descriptor, bytes);
    if (length === 0) break;
    const rows = length / 4 / dimensions;
    yield float32([rows, dimensions], new Float32Array(bytes.buffer, 0, rows * dimensions));
  }
  closeSync(descriptor);
}

const { product } = engineProduct({ threads: 2 });
await serve(async () => {
  const a = await measure(moments(dimensions, { product }), batches(first));
  const b = await measure(moments(dimensions, { product }), batches(second));
  const fid = await frechetDistance(a, b, { product });
  const megabytes = process.resourceUsage().maxRSS / 1024;
  writeFileSync(outcome, JSON.stringify({ fid, megabytes }));
}, 1);
