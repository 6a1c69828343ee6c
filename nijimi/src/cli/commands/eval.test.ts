/** `nijimi eval` on folders of small pictures, with the network that needs no weights. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createImage } from "../../images/image.ts";
import { encodePng } from "../../images/png/encode.ts";
import { torchGenerator } from "../../tensor/random/torch.ts";
import { runLine } from "../testing/run-line.ts";

const folder = mkdtempSync(join(tmpdir(), "nijimi-eval-"));
const at = (name: string): string => join(folder, name);

function writePictures(name: string, count: number, seed: number): void {
  mkdirSync(at(name));
  for (let i = 0; i < count; i++) {
    const levels = torchGenerator(seed + i).rand([8 * 8 * 3]).data;
    const image = createImage(
      8,
      8,
      3,
      Uint8Array.from(levels, (value) => Math.floor(256 * value)),
    );
    writeFileSync(join(at(name), `${String(i).padStart(3, "0")}.png`), encodePng(image));
  }
}

beforeAll(() => {
  writePictures("real", 40, 0);
  writePictures("fake", 30, 1000);
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...line: string[]) => runLine(["eval", ...line], { env: { NIJIMI_HOME: at("home") } });

const TINY_MODEL = join(
  import.meta.dirname,
  "../../../../conformance/cases/pipelines/sd1/diffusers",
);
const PIXELS = ["--network", "pixels", "--figures", "fid,kid,memorisation"];

describe("nijimi eval", () => {
  test("prints a table and writes a report with pictures", async () => {
    const { code, stdout, stderr } = await run(
      at("fake"),
      at("real"),
      ...PIXELS,
      "--html",
      at("report.html"),
    );
    expect(stderr).toContain("biased upwards");
    expect(code).toBe(0);
    expect(stdout).toMatch(/FD \(pixels 8×8\) +[\d.]+/);
    expect(stdout).toMatch(/KD \(pixels 8×8\).*100 subsets of 30/);
    const html = readFileSync(at("report.html"), "utf8");
    expect(html).toContain("data:image/png;base64,");
    expect(html).not.toContain("no picture");
  });

  test("gives the report to programs as JSON", async () => {
    const { stdout } = await run(at("real"), at("real"), ...PIXELS, "--json", "--quiet");
    const { figures, generated } = JSON.parse(stdout);
    expect(generated).toMatchObject({ count: 40, sizes: { "8×8": 40 } });
    expect(Math.abs(figures[0].value)).toBeLessThan(1e-6);
    expect(figures[2]).toMatchObject({ figure: "memorisation", value: 1 });
  });

  test("saved statistics give the same distance as the pictures", async () => {
    const saved = await run(at("real"), "--network", "pixels", "--save-statistics", at("real.npz"));
    expect(saved.code).toBe(0);
    expect(saved.stdout).toBe("");
    const distance = async (reference: string): Promise<number> => {
      const { stdout } = await run(
        at("fake"),
        reference,
        "--network",
        "pixels",
        "--figures",
        "fid",
        "--json",
        "--quiet",
      );
      return JSON.parse(stdout).figures[0].value;
    };
    expect(await distance(at("real.npz"))).toBeCloseTo(await distance(at("real")), 9);
  });

  test("measures a model by its pictures of prompts, which are made once", async () => {
    writeFileSync(at("prompts.txt"), "a red cat\n\na blue dog\n");
    const model = ["--prompts", at("prompts.txt"), "--settings", '--steps 1 -W 16 --height "16"'];
    const line = [TINY_MODEL, at("real"), ...PIXELS, ...model, "--samples", at("made"), "--json"];
    const first = await run(...line);
    expect(first.stderr).toContain("Making pictures");
    expect(JSON.parse(first.stdout).generated).toMatchObject({ count: 2, sizes: { "16×16": 2 } });
    expect(readFileSync(at("made/00001.txt"), "utf8")).toBe("a blue dog\n");
    const second = await run(...line);
    expect(second.stderr).toContain("2 of 2 pictures are in");
    expect(JSON.parse(second.stdout).figures).toEqual(JSON.parse(first.stdout).figures);
  }, 60_000);

  test.each([
    [["--prompts", at("none.txt")], /cannot be read/, 3],
    [["--settings", "--steps 2"], /go with --prompts/, 2],
    [["--prompts", at("words.txt"), "--settings", "--count 2"], /leave out --count/, 2],
    [["--prompts", at("words.txt"), "--settings", "--hires-scale 2"], /leave out --hires-scale/, 2],
    [["--prompts", at("words.txt"), "--settings", "--stepps 2"], /Unknown option "--stepps"/, 2],
  ])("a model with %j is refused", async (line, message, exitCode) => {
    writeFileSync(at("words.txt"), "a cat\n");
    const { code, stderr } = await run(TINY_MODEL, at("real"), ...PIXELS, ...line);
    expect(stderr).toMatch(message);
    expect(code).toBe(exitCode);
  });

  test("leaves no work file behind when it is done", async () => {
    const { code } = await run(at("fake"), at("real"), ...PIXELS, "--work", at("state"));
    expect(code).toBe(0);
    expect(existsSync(at("state"))).toBe(false);
  });

  test("a corrupt picture ends it with its name and exit code 3", async () => {
    mkdirSync(at("broken"));
    writeFileSync(join(at("broken"), "a.png"), "no picture");
    const { code, stderr } = await run(at("broken"), at("real"), ...PIXELS);
    expect(stderr).toContain("a.png");
    expect(stderr).toContain("cannot be decoded");
    expect(code).toBe(3);
  });

  test.each([
    [["nowhere"], /nothing at nowhere/, 3],
    [[at("fake")], /no reference/, 2],
    [[at("fake"), at("real"), "--figures", "fjd"], /Unknown figure "fjd"/, 2],
    [[at("fake"), at("real")], /nijimi models fetch fid-inception/, 3],
    [[at("fake"), "--figures", "clip-score"], /nijimi models fetch clip-vit-b-32/, 3],
    [[at("fake"), at("real"), "--network", "weights.pth"], /no weights at weights.pth/, 3],
  ])("%j is refused", async (line, message, exitCode) => {
    const { code, stderr } = await run(...line);
    expect(stderr).toMatch(message);
    expect(code).toBe(exitCode);
  });

  test("wrong weights are named by what they are and their hash", async () => {
    writeFileSync(at("head.npz"), "not weights at all");
    const { code, stderr } = await run(at("fake"), at("real"), "--network", at("head.npz"));
    expect(code).toBe(3);
    expect(stderr).toMatch(/head\.npz|format/i);
  });
});
