// A peer of the benchmark: what fastify and nodemailer's pool make of the same requests and mails.
// It checks the request, fills a template and sends; it has no guards and keeps no record.

import cluster from "node:cluster";
import { readFileSync } from "node:fs";

import Fastify from "fastify";
import nodemailer from "nodemailer";

const environment = process.env;
const [text, html] = [environment.PEER_TEXT, environment.PEER_HTML].map((path) => compile(readFileSync(path, "utf8")));

const transport = nodemailer.createTransport({
  pool: true,
  host: "127.0.0.1",
  port: Number(environment.SMTP_PORT),
  secure: false,
  maxConnections: Number(environment.SMTP_CONNECTIONS),
  maxMessages: Infinity,
  ...(environment.SMTP_PASSWORD
    ? {
        requireTLS: true,
        tls: { ca: readFileSync(environment.SMTP_AUTHORITY) },
        auth: { user: "web@example.com", pass: environment.SMTP_PASSWORD },
      }
    : { ignoreTLS: true }),
});

const schema = {
  body: {
    type: "object",
    required: ["Email", "Message"],
    properties: {
      Email: { type: "string", format: "email", maxLength: 254 },
      Username: { type: "string", maxLength: 200 },
      Message: { type: "string", minLength: 1, maxLength: 200000 },
      CustomFields: { type: "object", additionalProperties: { type: "string" } },
      Attachments: {
        type: "array",
        maxItems: 20,
        items: {
          type: "object",
          required: ["FileName", "Base64Content"],
          properties: {
            FileName: { type: "string", maxLength: 255 },
            ContentType: { type: "string" },
            Base64Content: { type: "string" },
          },
        },
      },
    },
  },
  response: {
    201: { type: "object", properties: { id: { type: "string" }, status: { type: "string" } } },
  },
};

async function send(request, reply) {
  const { Email, Username = "", Message, CustomFields = {}, Attachments = [] } = request.body;
  const values = { ...CustomFields, Email, Username, Message };
  const sent = await transport.sendMail({
    from: "web@example.com",
    to: "office@example.com",
    replyTo: { name: Username, address: Email },
    subject: `Contact: ${Username}`,
    text: text(values, (value) => value),
    html: html(values, escape),
    attachments: Attachments.map(({ FileName, ContentType, Base64Content }) => ({
      filename: FileName,
      contentType: ContentType,
      content: Base64Content,
      encoding: "base64",
    })),
  });
  reply.code(201);
  return { id: sent.messageId, status: "Sent" };
}

// The pieces of a template between its {Name}s, once; filling it is joining them.
function compile(template) {
  const pieces = template.split(/\{(\w+)\}/);
  return (values, write) => pieces.map((piece, i) => (i % 2 ? write(values[piece] ?? `{${piece}}`) : piece)).join("");
}

function escape(value) {
  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\n": "<br>\n" };
  return value.replace(/[&<>"'\n]/g, (character) => entities[character]);
}

const processes = Number(environment.PROCESSES);
if (processes > 1 && cluster.isPrimary) {
  process.on("SIGTERM", () => process.exit());
  for (let i = 0; i < processes; i++) cluster.fork();
} else {
  const app = Fastify({ bodyLimit: Number(environment.MAX_REQUEST_BYTES) });
  app.post("/api/v1/emails", { schema }, send);
  await app.listen({ host: "127.0.0.1", port: Number(environment.PORT) });
}
