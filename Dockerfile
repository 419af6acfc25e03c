# The service in a container. Both stages stand on one base, which has Node 24 and, for the build, npm. RUNTIME can be a smaller
# one without shell and npm, such as gcr.io/distroless/nodejs24-debian12: the second stage runs no command.
ARG BASE=node:24-slim
ARG RUNTIME=${BASE}

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# An .npmrc of your own, for a registry inside: docker build --secret id=npmrc,src=.npmrc .
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json bundle.mjs ./
COPY src src
# Production's packages only; of compiled ones what Linux can load, and nothing that only editors and debuggers read.
RUN npm run build \
  && npm sbom --package-lock-only --omit=dev --sbom-format=cyclonedx > sbom.cdx.json \
  && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/*/prebuilds/android-* node_modules/*/prebuilds/darwin-* node_modules/*/prebuilds/win32-* node_modules/classic-level/deps node_modules/zod/src \
  && find node_modules dist -type f '(' -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' ')' ! -path dist/main.js.map -delete \
  && find node_modules -depth -type d -empty -delete \
  && mkdir /data && chown 1000:1000 /data

FROM ${RUNTIME}
ARG VERSION=1.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="carat-authenticity" \
  org.opencontainers.image.description="Receives Carat's authenticity posts, always answers 200 OK, and hands each token to the worker that waits for it." \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
# The last of the PATH is where distroless images have node. RES_OPTIONS: a process cannot end while it asks for a name, and
# asking a name server that is away would take longer than a stop may.
ENV NODE_ENV=production DATA_DIR=/data PATH=${PATH}:/nodejs/bin RES_OPTIONS="timeout:1 attempts:2"
WORKDIR /app
COPY --from=build /app/package.json /app/package-lock.json /app/sbom.cdx.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build --chown=1000:1000 /data /data
USER 1000:1000
VOLUME ["/data"]
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# Alive, not ready: one that stops or has lost its disk must not be killed for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "dist/cli/main.js", "health", "--live", "--timeout", "4"]
# Node itself is process 1, whatever the base would have begun with: it takes SIGTERM, starts no process, and so leaves none
# behind.
ENTRYPOINT []
CMD ["node", "--enable-source-maps", "dist/main.js"]
