import { crc32 as reference } from "node:zlib";
import { describe, expect, it } from "vitest";
import { crc32 } from "./crc32.ts";

describe("crc32", () => {
  it("has the check value of the standard", () => {
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  });

  it("agrees with zlib at every length", () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * 73 + 200) % 256);
    for (let length = 0; length <= bytes.length; length++)
      expect(crc32(bytes.subarray(0, length))).toBe(reference(bytes.subarray(0, length)));
  });
});
