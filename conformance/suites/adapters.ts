/** T2I-Adapters against diffusers. */
import { readT2iAdapterConfig, t2iAdapter } from "nijimi/models";
import type { Suite } from "../case.ts";
import { runLayer } from "./run-layer.ts";

export const suite: Suite = {
  kind: "adapters",
  accepts: (c) => c.json.function === "diffusers.models.adapter.T2IAdapter",
  run: (c, { device }) => {
    const adapter = t2iAdapter(readT2iAdapterConfig(c.json.config ?? {}));
    return runLayer(c, {
      device,
      forward: ({ x }, scope) =>
        Object.fromEntries(adapter.apply(scope, "", x).map((h, i) => [`feature${i}`, h])),
    });
  },
};
