export { type Compiled, compile, type CompileOptions } from "./compile.ts";
export { type Device, DEVICES } from "./engine.ts";
export { createSession, listDevices, type Session, type SessionOptions } from "./session.ts";
