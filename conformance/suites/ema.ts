/** The moving average of parameters in score_sde: decay min(d, (1 + n)/(10 + n)), n counted from 1. */
import { spec } from "nijimi/graph";
import { compile } from "nijimi/runtime";
import { float32, type Tensor } from "nijimi/tensor";
import { emaDecay, emaUpdate } from "nijimi/train";
import type { Suite } from "../case.ts";
import { configNumber, float32Of, namedComparer } from "./named-values.ts";

export const suite: Suite = {
  kind: "ema",
  accepts: ({ json }) => json.function === "models.ema",
  async run(c) {
    const { shape, data } = float32Of(c, "in.params");
    const size = data.length / shape[0];
    const row = (i: number): Tensor<"float32"> =>
      float32([size], data.slice(i * size, (i + 1) * size));
    const vector = spec("float32", [size]);
    const update = await compile(
      ({ ema, parameters, decay }) => emaUpdate(ema, parameters, decay),
      { ema: vector, parameters: vector, decay: spec("float32", []) },
    );
    const shadows: number[] = [];
    let ema = row(0);
    for (let n = 1; n < shape[0]; n++) {
      // emaDecay counts as diffusers does, one behind.
      const decay = float32([], [emaDecay(n + 1, { decay: configNumber(c, "decay") })]);
      ema = (await update({ ema, parameters: row(n), decay })) as Tensor<"float32">;
      shadows.push(...ema.data);
    }
    await update.dispose();
    return namedComparer(c)("out.shadow", shadows);
  },
};
