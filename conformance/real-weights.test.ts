/**
 * Real weights and real pictures, where the workspace's neighbour has them: the tiny autoencoder for FLUX.2's latents
 * reconstructs emoji it has never seen.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadCheckpoint, readAll } from "nijimi/checkpoints";
import { loadBatches } from "nijimi/data";
import { autoencoderTiny, readAutoencoderTinyConfig } from "nijimi/models";
import { parameterScope } from "nijimi/nn";
import { compile } from "nijimi/runtime";
import { spec } from "nijimi/graph";

const DATA = join(import.meta.dirname, "../../shared/data");
const PICTURES = 12;

describe.skipIf(!existsSync(DATA))("real weights", () => {
  it("TAEF2 loads with every key used and reconstructs emoji at 29 dB", async () => {
    const halves = await Promise.all(
      ["encoder", "decoder"].map((half) =>
        loadCheckpoint(join(DATA, "taesd", `taef2_${half}.pth`)),
      ),
    );
    for (const { missing, unexpected } of halves)
      expect({ missing, unexpected }).toEqual({ missing: [], unexpected: [] });
    const parameters = Object.assign(
      {},
      ...(await Promise.all(halves.map(({ components }) => readAll(components["vae"].entries)))),
    );
    const { encode, decode } = autoencoderTiny(
      readAutoencoderTinyConfig(halves[0].components["vae"].config),
    );
    const run = await compile(
      ({ image }) => decode.apply(parameterScope(), "", encode.apply(parameterScope(), "", image)),
      { image: spec("float32", ["n", 3, "height", "width"]) },
      { parameters },
    );
    const emoji = { kind: "webdataset", files: join(DATA, "noto-emoji-128.tar.gz") } as const;
    const options = { batchSize: PICTURES, shuffle: false, image: { size: 128 }, workers: 0 }; // on white
    for await (const { images } of loadBatches(emoji, options)) {
      const rebuilt = (await run({ image: images })).data as Float32Array;
      const size = rebuilt.length / PICTURES;
      const psnr = Array.from({ length: PICTURES }, (_, i) => {
        let squared = 0;
        for (let j = i * size; j < (i + 1) * size; j++)
          squared += (clamp(rebuilt[j]) - images.data[j]) ** 2;
        return 10 * Math.log10(4 / (squared / size)); // values span 2
      });
      expect(psnr.reduce((sum, value) => sum + value, 0) / PICTURES).toBeGreaterThan(29);
      break;
    }
    await run.dispose();
  });
});

function clamp(value: number): number {
  return Math.min(1, Math.max(-1, value));
}
