import type { Suite } from "../case.ts";
export const suite: Suite = { kind: "pipelines", accepts: () => false, run: async () => [] };
