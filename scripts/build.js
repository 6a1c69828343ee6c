/** `npm run build`: builds `nijimi/dist` from scratch. */
import { fileURLToPath } from "node:url";
import { build } from "./fresh-clone/build.js";
import { installIfStale } from "./fresh-clone/install.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const say = (/** @type {string} */ line) => console.error(line);
installIfStale(root, say);
build(root, say);
