/** The pictures' part of the page: the form, the preview while it works, the picture with its recipe. */
import { encodeImage, type Image, recipeTexts, toChannels } from "nijimi/images";
import type { GenerationEvent, ImageReady, WorkerPipeline } from "nijimi/pipelines";
import { clearError, element, report } from "./page.ts";
import { progressBar, timeLeft } from "./progress.ts";

const canvas = element("canvas", "preview");
const picture = element("img", "picture");
const download = element("a", "download");
const bar = progressBar(element("div", "progress"));

/** @param loaded gives the model in use, loading it where need be */
export function startGenerating(loaded: () => Promise<WorkerPipeline>): void {
  const form = element("form", "request");
  const generate = element("button", "generate");
  const cancel = element("button", "cancel");
  form.onsubmit = async (event) => {
    event.preventDefault();
    clearError();
    const controller = new AbortController();
    cancel.onclick = () => controller.abort();
    generate.disabled = true;
    bar.show("Reading the weights …");
    try {
      const model = await loaded();
      const request = requestOf(new FormData(form), model);
      const left = timeLeft();
      for await (const step of model.run("textToImage", request, controller))
        await show(step, left);
    } catch (error) {
      report(error);
    } finally {
      bar.hide();
      generate.disabled = false;
    }
  };
}

function requestOf(form: FormData, { defaultSize }: WorkerPipeline) {
  const number = (name: string, otherwise?: number) =>
    form.get(name) === "" ? otherwise : Number(form.get(name));
  return {
    prompt: String(form.get("prompt")),
    negativePrompt: String(form.get("negative")) || undefined,
    steps: number("steps"),
    width: number("width", defaultSize),
    height: number("height", defaultSize),
    guidanceScale: number("guidance"),
    seed: number("seed"),
    preview: {},
  };
}

async function show(event: GenerationEvent, left: ReturnType<typeof timeLeft>): Promise<void> {
  if (event.type === "step-preview") draw(event.images[0]);
  if (event.type === "step-start" && event.step === 0) left(0, event.steps);
  if (event.type === "step-end") {
    const [done, steps] = [event.step + 1, event.steps];
    const rest = done === steps ? "; decoding the picture …" : left(done, steps);
    bar.show(`Step ${done} of ${steps}${rest}`, done / steps);
  }
  if (event.type === "image-ready") await finish(event);
}

/** The preview has a pixel for each latent; the style sheet makes it as large as the picture. */
function draw(image: Image): void {
  const { width, height, data } = toChannels(image, 4);
  Object.assign(canvas, { width, height, hidden: false });
  picture.hidden = true;
  const pixels = new ImageData(Uint8ClampedArray.from(data), width, height);
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
}

async function finish({ image, recipe, notes }: ImageReady): Promise<void> {
  const bytes = await encodeImage(image, { metadata: recipeTexts(recipe) });
  URL.revokeObjectURL(picture.src);
  const url = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
  picture.src = url;
  picture.alt = `Picture of: ${recipe.prompt ?? ""}`;
  Object.assign(download, { href: url, download: `${recipe.seed ?? "picture"}.png` });
  element("pre", "recipe").textContent = JSON.stringify(recipe, null, 2);
  element("p", "notes").textContent = notes.join(" ");
  element("div", "result").hidden = false;
  picture.hidden = false;
  canvas.hidden = true;
}
