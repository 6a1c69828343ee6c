/// <reference types="vite/client" />
/** A Stable Diffusion of a few hundred thousand random weights, for trying the page: its pictures show nothing. */
import type { ModelFile } from "nijimi/checkpoints";

const FOLDER = "../../conformance/cases/pipelines/sd1/diffusers/";

const urls = import.meta.glob<string>("../../conformance/cases/pipelines/sd1/diffusers/**/*.*", {
  query: "?url",
  import: "default",
  eager: true,
});

/** Its files, by URL. */
export const TINY_MODEL: readonly ModelFile[] = Object.entries(urls).map(([path, url]) => ({
  path: path.slice(FOLDER.length),
  from: new URL(url, location.href).href,
}));
