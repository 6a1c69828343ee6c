/** The store of models on a bad network; what is done is in `testing/scenarios.ts`, in a worker. */
import { beforeAll, expect, it } from "vitest";

let seen: Record<string, unknown>;
beforeAll(async () => {
  const worker = new Worker(new URL("./testing/scenarios.ts", import.meta.url), { type: "module" });
  seen = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data as Record<string, unknown>);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
  worker.terminate();
  expect(seen.error).toBeUndefined();
});

const OVERLAP = 65_536;

it("keeps what came before the connection broke, and goes on from there", () => {
  expect(seen.interrupted).toMatchObject({ code: "network", asked: [null] });
  expect(seen.partly).toMatchObject([
    { name: "a", bytes: 300_000, size: seen.length, isComplete: false },
  ]);
  expect(seen.incomplete).toContain("stored in part");
  expect(seen.resumed).toMatchObject({ asked: [`bytes=${300_000 - OVERLAP}-`] });
  expect(seen.whole).toBe("ours");
  expect(seen.again).toMatchObject({ asked: [] });
});

it("begins anew where the file has changed meanwhile", () => {
  expect(seen.changed).toMatchObject({ asked: [`bytes=${300_000 - OVERLAP}-`, null] });
  expect(seen.other).toBe("theirs");
});

it("loads the whole again from servers that know no ranges", () => {
  expect(seen.rangeless).toMatchObject({ asked: [`bytes=${300_000 - OVERLAP}-`] });
  expect(seen.rangelessContent).toBe("ours");
});

it("refuses another content than was promised, and pages in the place of weights", () => {
  expect(seen.hash).toMatchObject({ code: "format", message: expect.stringContaining("SHA-256") });
  expect(seen.page).toMatchObject({ code: "unsupported" });
});

it("says before it begins that there is no room, and how much there is", () => {
  expect(seen.full).toMatch(/needs 78\d\.\d KiB .*grants this site 97\.7 KiB more/);
});

it("stores picked files and lists what is complete", () => {
  expect(seen.picked).toMatchObject({ asked: [] });
  expect(seen.names).toEqual(["a", "b", "c", "g"]);
  expect(seen.unknown).toContain('Unknown stored model "z"');
});
