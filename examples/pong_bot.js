// A bot for Node.js, without any package. It answers `ping` with `pong`, in the group
// that the question came from, or else to its sender. Ctrl-C logs it out.
//
//     node examples/pong_bot.js 127.0.0.1 3333 ponger
"use strict";

const [host, port, name] = process.argv.slice(2);
const me = Buffer.from(name).toString("latin1");
const token = require("node:crypto").randomUUID();
const socket = require("node:net").connect(Number(port), host);
socket.setEncoding("latin1"); // One character for each byte, so that every byte passes.
const send = (command) => socket.write(`CHAT/1.0 ${command}\n`, "latin1");
const report = (text) => console.error(`pong_bot: ${text.replace(/[^ -~]/g, "?")}`);
let labels = false, rest = "", status = 1;

function receive(line) {
  const [, sender, data] = /^CHAT\/1\.0 RECEIVE ([^ ]+) (.*?)\r?$/s.exec(line) ?? [];
  const [, group, member, text] = /^in ([^ ]+) ([^ ]+) (.*)$/s.exec(data) ?? [];
  if (sender === "*server*") {
    report(data);
    if (/^ERR \S+ LOGIN /.test(data)) process.exit(1);
  } else if (sender === "*groups*") {
    if (data === "on") labels = true;
    if (member !== me && text === "ping") send(`BROADCAST ${group} pong`);
  } else if (sender === me) {
    if (data === token) console.log(`logged in, ${labels ? "with" : "without"} labels`);
  } else if (data === "ping") {
    send(`SEND ${sender} pong`);
  }
}

socket.on("data", (chunk) => {
  const lines = (rest + chunk).split("\n");
  rest = lines.pop();
  lines.forEach(receive);
  if (rest.length > 4096) socket.destroy(new Error("a line of the server never ends"));
});
socket.on("error", (error) => report(error.message));
socket.on("close", () => process.exit(status));
process.on("SIGINT", () => {
  status = 0;
  socket.end("CHAT/1.0 LOGOUT\n");
});

send(`LOGIN ${me}`);
send("SEND *groups* on"); // Labels say which group a message comes from.
send(`SEND ${me} ${token}`); // It comes back when all before it is handled.
