/** `nijimi generate` on a tiny model: what it writes, what it refuses and with which exit code, and how it stops. */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { encodeImage, readImage } from "../../images/codec.ts";
import { createImage } from "../../images/image.ts";
import { createRecipe } from "../../images/metadata/recipe.ts";
import { runLine } from "../testing/run-line.ts";

const CASES = fileURLToPath(new URL("../../../../conformance/cases/pipelines/", import.meta.url));
const MODEL = join(CASES, "sd2/diffusers");
const task = (name: string): string => join(CASES, "tasks", name);
const folder = mkdtempSync(join(tmpdir(), "generate-"));
afterAll(() => rmSync(folder, { recursive: true, maxRetries: 5 }));
const env = { ...process.env, NIJIMI_HOME: join(folder, "home") };
const output = join(folder, "out");
const SMALL = ["-W", "32", "-H", "32", "-s", "2", "--seed", "5", "--threads", "1", "-o", output];

const run = (...line: string[]) => runLine(["generate", ...line], { env });

async function pictureFile(name: string, width: number, height: number): Promise<string> {
  const file = join(folder, name);
  const image = createImage(width, height, 3, new Uint8Array(width * height * 3).fill(90));
  writeFileSync(file, await encodeImage(image, { format: "png" }));
  return file;
}

/** A copy of the model with one file changed. */
function changed(name: string, file: string, contents: string): string {
  const copy = join(folder, name);
  cpSync(MODEL, copy, { recursive: true });
  writeFileSync(join(copy, file), contents);
  return copy;
}

test("writes a picture, and by its recipe the same again, in the precision it was made in", async () => {
  const make = async (...line: string[]) => {
    const made = await run(...line, "--threads", "1", "--json", "--quiet");
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const { images } = JSON.parse(made.stdout) as { images: { file: string; seed: string }[] };
    const { data } = await readImage(images[0].file);
    return { ...images[0], data };
  };
  const prompt = ["a red cat", "-m", MODEL, ...SMALL];
  const exact = await make(...prompt);
  expect(exact.seed).toBe("5");
  const coarse = await make(...prompt, "--precision", "int4-weights", "--seamless", "x");
  expect(coarse.data).not.toEqual(exact.data);
  const again = await make("--recipe", coarse.file, "-m", MODEL, "-o", join(folder, "again.png"));
  expect(again.data).toEqual(coarse.data);
});

test("a way through prompts writes every picture on it", async () => {
  const frames = join(folder, "frames");
  const line = ["a cat", "-m", MODEL, ...SMALL, "--interpolate-to", "a moon", "--frames", "3"];
  expect(await run(...line, "-o", frames, "--quiet")).toMatchObject({ code: 0 });
  expect(readdirSync(frames)).toHaveLength(3);
});

describe("is refused, with nothing written", () => {
  const refused = join(folder, "refused");
  const line = [...SMALL.slice(0, -1), refused, "-m", MODEL];
  const wide = pictureFile("wide.png", 48, 32);
  const square = pictureFile("square.png", 32, 32);
  const file = (path: Promise<string>) => path;

  test.each<[string, number, RegExp, () => Promise<string[]> | string[]]>([
    ["a size that is no multiple of 8", 2, /24 or 32/, () => ["a cat", ...line, "-W", "30"]],
    ["ten thousand words", 2, /tokens/, () => ["cat ".repeat(10_000), ...line]],
    [
      "a mask of another size",
      2,
      /48×32/,
      async () => ["a", ...line, "-i", await file(square), "--mask", await file(wide)],
    ],
    [
      "a picture for a ControlNet of another size",
      2,
      /48×32/,
      async () => [
        ...["a cat", ...line, "--control-net", task("controlnet-0")],
        ...["--control-image", await file(wide)],
      ],
    ],
    [
      "a ControlNet without a picture",
      2,
      /go together/,
      () => ["a", ...line, "--control-net", "x"],
    ],
    [
      "a way through prompts into one file",
      2,
      /give a folder/,
      () => ["a", ...line, "--interpolate-to", "b", "-o", join(refused, "one.png")],
    ],
    [
      "an option without its other",
      2,
      /needs --hires-scale/,
      () => ["a", ...line, "--hires-steps", "3"],
    ],
    [
      "a picture and a second pass",
      2,
      /do not go together/,
      async () => ["a", ...line, "-i", await file(square), "--hires-scale", "2"],
    ],
    [
      "several pictures in a grid",
      2,
      /seed an axis/,
      () => ["a", ...line, "--grid", "steps=1,2", "-c", "2"],
    ],
    [
      "a recipe that needs a ControlNet",
      2,
      /give --control-net and --control-image again/,
      () => {
        const made = join(folder, "controlled.json");
        const control = [{ name: "controlNet0", scale: 0.5 }];
        const recipe = createRecipe({ prompt: "a cat", seed: 1, extra: { control } });
        writeFileSync(made, JSON.stringify(recipe));
        return [...line, "--recipe", made];
      },
    ],
    ["FreeU without factors", 2, /such as b1=1.4/, () => ["a cat", ...line, "--freeu", "yes"]],
    ["a size of no numbers", 2, /such as 1024x768/, () => ["a", ...line, "--target-size", "big"]],
    ["a model that is not there", 3, /no model/, () => ["a cat", ...line, "-m", "./nowhere"]],
    [
      "a ControlNet in the place of a model",
      3,
      /has no unet/,
      () => ["a cat", ...line, "-m", task("controlnet-0")],
    ],
    [
      "a model in the place of a ControlNet",
      3,
      /expected a ControlNet/,
      async () => [
        ...["a cat", ...line, "--control-net", MODEL],
        ...["--control-image", await file(square)],
      ],
    ],
    [
      "a checkpoint that needs a picture",
      3,
      /upscaling/,
      () => ["a cat", ...line, "-m", task("upscaler")],
    ],
    [
      "a pipeline class that nobody knows",
      3,
      /MyPipeline/,
      () => [
        ...["a cat", ...line, "-m"],
        changed("class", "model_index.json", '{"_class_name": "MyPipeline"}'),
      ],
    ],
    [
      "a scheduler that nobody knows",
      3,
      /MyScheduler/,
      () => [
        ...["a cat", ...line, "-m"],
        changed("sch", "scheduler/scheduler_config.json", '{"_class_name": "MyScheduler"}'),
      ],
    ],
    [
      "a config of another network",
      3,
      /different networks|lacks/,
      () => [
        ...["a cat", ...line, "-m"],
        changed("vae", "vae/config.json", '{"_class_name": "AutoencoderKL"}'),
      ],
    ],
    [
      "a safety checker that is not there",
      2,
      /no safety/,
      () => ["a", ...line, "--safety-checker", "own"],
    ],
  ])("%s", async (_, code, message, given) => {
    const result = await run(...(await given()), "--quiet");
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(code);
    expect(existsSync(refused)).toBe(false);
  });
});

test("stops within a step at Ctrl-C, with 130, and leaves nothing half-written", async () => {
  const program = fileURLToPath(new URL("../testing/nijimi.ts", import.meta.url));
  const stopped = join(folder, "stopped");
  const line = ["a cat", "-m", MODEL, ...SMALL, "-s", "500", "--count", "2", "-o", stopped];
  const child = spawn(
    process.execPath,
    ["--conditions=@nijimi/source", "--import", "tsx", program, "generate", ...line],
    { env },
  );
  let [stderr, atSignal] = ["", ""];
  child.stderr.on("data", (data: Buffer) => {
    stderr += data.toString();
    if (atSignal === "" && /Sampling|Picture/.test(stderr)) {
      atSignal = stderr;
      child.kill("SIGINT");
    }
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(stderr).toContain("Cancelled");
  expect(code).toBe(130);
  expect(existsSync(stopped) ? readdirSync(stopped) : []).toEqual([]);
}, 60_000);
