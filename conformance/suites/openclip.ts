import type { Suite } from "../case.ts";
export const suite: Suite = { kind: "openclip", accepts: () => false, run: async () => [] };
