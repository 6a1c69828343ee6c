import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KNOWN_WEIGHTS } from "../../metrics/networks/known-weights.ts";
import { runLine } from "../testing/run-line.ts";

const home = mkdtempSync(join(tmpdir(), "nijimi-models-"));
const models = join(home, "models");
const CONTENT = Buffer.from("weights, more or less");
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");
const server = createServer((_, response) => void response.end(CONTENT));
let url: string;

beforeAll(async () => {
  mkdirSync(models);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/w.safetensors`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(home, { recursive: true });
});

const run = (...line: string[]) => runLine(["models", ...line], { env: { NIJIMI_HOME: home } });

describe("nijimi models", () => {
  test("lists what is known and what is here", async () => {
    const { stdout } = await run();
    for (const name of Object.keys(KNOWN_WEIGHTS)) expect(stdout).toContain(name);
    expect(stdout).not.toContain("✓ fid-inception");
    writeFileSync(join(models, KNOWN_WEIGHTS["lpips-alex"].file), "x");
    writeFileSync(join(models, `${KNOWN_WEIGHTS.vgg16.file}.part`), "x");
    const { stdout: json } = await run("list", "--json");
    const states = Object.fromEntries(
      JSON.parse(json).models.map((model: { name: string; state: string }) => [
        model.name,
        model.state,
      ]),
    );
    expect(states).toMatchObject({
      "lpips-alex": "here",
      vgg16: "partly here",
      alexnet: "not here",
    });
  });

  test("says where weights come from", async () => {
    const { stdout } = await run("info", "fid-inception");
    expect(stdout).toContain(KNOWN_WEIGHTS["fid-inception"].url);
    expect(stdout).toContain("Apache-2.0");
    expect((await run("fetch")).stderr).toContain("fetch needs a model: one of fid-inception");
    expect((await run("list", "vgg16")).stderr).toContain("nijimi models info vgg16");
    expect((await run("info", "vgg16", "--sha256", SHA256)).code).toBe(2);
    expect((await run("info", "fid-incepton")).stderr).toContain('Did you mean "fid-inception"');
  });

  test("fetches a URL with its hash, and nothing without", async () => {
    const { code, stdout } = await run("fetch", url, "--sha256", SHA256.toUpperCase());
    expect(code).toBe(0);
    expect(readFileSync(stdout.trim())).toEqual(CONTENT);
    const unchecked = await run("fetch", url);
    expect(unchecked.code).toBe(2);
    expect(unchecked.stderr).toContain("--sha256");
    const wrong = await run("fetch", url.replace("w.", "v."), "--sha256", "0".repeat(64));
    expect(wrong.code).toBe(3);
    expect(wrong.stderr).toContain(SHA256);
  });

  test("verifies files and names the wrong ones", async () => {
    const path = join(models, "w.safetensors");
    writeFileSync(path, CONTENT);
    expect((await run("verify", path, "--sha256", SHA256)).code).toBe(0);
    const wrong = await run("verify", "lpips-alex");
    expect(wrong.code).toBe(3);
    expect(wrong.stdout).toContain("WRONG  lpips-alex");
    expect((await run("verify", "alexnet")).stderr).toContain("nijimi models fetch alexnet");
    expect((await run("verify", path)).stderr).toContain("--sha256");
  });
});
