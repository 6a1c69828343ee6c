/**
 * Operations and blocks against their references in the browser, on WASM and on WebGPU, within the case's
 * tolerance or 1e-3, whichever is larger. Which cases: see `vitest.browser.config.ts`.
 */
import { describe, expect, inject, it } from "vitest";
import type { Comparison } from "../case.ts";
import { suites } from "../suites/index.ts";
import { fetchCase, fetchTensors } from "./fetch-case.ts";
import type { CaseAddress } from "./list-cases.ts";

declare module "vitest" {
  export interface ProvidedContext {
    cases: readonly CaseAddress[];
  }
}

const BROWSER_TOLERANCE = 1e-3;
const KINDS = ["ops", "blocks"].filter((kind) => kind in suites);

const cases = await Promise.all(inject("cases").map(fetchCase));

describe.each(["wasm", "webgpu"])("on %s", (device) => {
  for (const kind of KINDS)
    describe(kind, async () => {
      const suite = await suites[kind]();
      const accepted = cases.filter((c) => suite.accepts(c));
      it.each(accepted.map((c) => [c.id, c] as const))("%s", async (_id, c) => {
        const comparisons = await suite.run(await fetchTensors(c), { device });
        expect(comparisons.length).toBeGreaterThan(0);
        expect(comparisons.filter(isOutside)).toEqual([]);
      });
    });
});

function isOutside({ passed, error }: Comparison): boolean {
  return !passed && !(error <= BROWSER_TOLERANCE);
}
