/** nijimi's side of the Inception bench: IMAGES, see `bench/lib/interleave.ts` for the protocol. */
import { inceptionOfWeights } from "nijimi/metrics";
import { inceptionV3 } from "nijimi/models";
import { initialise } from "nijimi/nn";
import { torchGenerator } from "nijimi/tensor";
import { serve } from "../lib/contender.ts";

const images = Number(process.argv[2]);
const tensors = initialise(inceptionV3(), torchGenerator(0));
const network = await inceptionOfWeights(
  { name: "random", sha256: "0".repeat(64), tensors },
  { resize: "legacy-tensorflow", threads: 2 },
);
const pictures = Array.from({ length: images }, (_, i) => {
  const levels = torchGenerator(i).rand([32 * 32 * 3]).data;
  return { width: 32, height: 32, data: Uint8Array.from(levels, (value) => 256 * value) };
});
await serve(async () => {
  for (let i = 0; i < images; i += 16) await network.embed(pictures.slice(i, i + 16));
});
