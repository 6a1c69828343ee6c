/** The safety checker against diffusers': which pictures are flagged. */
import { join } from "node:path";
import { tensorToImages } from "nijimi/images";
import { loadPipeline } from "nijimi/pipelines";
import type { Device } from "nijimi/runtime";
import { tensor, type Tensor } from "nijimi/tensor";
import type { Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";

export const suite: Suite = {
  kind: "safety",
  accepts: ({ json }) => json.function === "StableDiffusionSafetyChecker.forward",
  async run(c, { device }) {
    const tensors = c.tensors();
    const unit = tensors["in.images"] as Tensor<"float32">;
    const images = tensorToImages({ ...unit, data: unit.data.map((value) => 2 * value - 1) });
    const pipeline = await loadPipeline(join(c.root, "pipelines/sd2/diffusers"), {
      device: device as Device,
      safetyChecker: join(c.root, String(c.json.config?.["checker"])),
    });
    try {
      const verdicts = await (await pipeline.safetyChecker()).check(images);
      const flagged = tensor(
        "bool",
        [verdicts.length],
        Uint8Array.from(verdicts, (verdict) => Number(verdict.flagged)),
      );
      return [compareTensors("out.flagged", flagged, tensors["out.flagged"], c.json.tolerance)];
    } finally {
      await pipeline.close();
    }
  },
};
