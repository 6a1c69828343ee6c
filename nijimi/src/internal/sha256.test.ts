import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { sha256 } from "./sha256.ts";

test("equals the platform's for every length around a block's end, whole and in pieces", () => {
  for (const length of [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 131 + length) & 255);
    const expected = createHash("sha256").update(bytes).digest("hex");
    for (const piece of [1, 7, 64, 1000]) {
      const hash = sha256();
      for (let at = 0; at < length; at += piece) hash.update(bytes.subarray(at, at + piece));
      expect(hash.digest()).toBe(expected);
    }
  }
});
