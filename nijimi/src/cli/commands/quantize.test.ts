import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { runLine } from "../testing/run-line.ts";

const MODEL = fileURLToPath(
  new URL("../../../../conformance/cases/pipelines/sd2/diffusers", import.meta.url),
);
const home = mkdtempSync(join(tmpdir(), "nijimi-quantize-"));
afterAll(() => rmSync(home, { recursive: true }));

const run = (...line: string[]) => runLine(line, { env: { NIJIMI_HOME: home } });

describe("nijimi quantize", () => {
  const small = join(home, "small");

  test("writes a folder that says what it is", async () => {
    const { code, stdout } = await run("quantize", MODEL, "-o", small, "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ output: small, precision: "int8" });
    const config = JSON.parse(readFileSync(join(small, "unet", "config.json"), "utf8"));
    expect(config.quantization_config).toEqual({
      quant_method: "nijimi",
      version: 1,
      precision: "int8",
    });
  });

  test.each([
    ["an unknown mode", [MODEL, "-o", small, "--mode", "int3"], 2, /int4-weights/],
    ["a model that is not there", ["missing.safetensors", "-o", small], 3, /missing/],
    ["what is quantised already", [small, "-o", `${small}-2`], 2, /quantised already/],
    ["a network that is no U-Net", [join(MODEL, "vae"), "-o", `${small}-3`], 3, /U-Net/],
    ["a folder that is taken", [MODEL, "-o", small], 3, /not empty/],
  ])("refuses %s", async (_, line, code, message) => {
    const outcome = await run("quantize", ...line);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.code).toBe(code);
  });

  test("generate quantises once, into what the cache command shows", async () => {
    const line = ["generate", "a cat", "-m", MODEL, "--precision", "int8", "--steps", "1"];
    const size = ["-W", "32", "-H", "32", "--threads", "1"];
    const first = await run(...line, ...size);
    expect(first.stderr).toMatch(/Quantising/);
    expect(first.code).toBe(0);
    const second = await run(...line, ...size);
    expect(second.stderr).not.toMatch(/Quantising/);
    expect(second.code).toBe(0);
    expect((await run("cache")).stdout).toMatch(/quantized/);
  });
});
