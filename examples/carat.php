<?php
// Two calls over HTTP: to Carat, and to the service that receives its posts. Needs only PHP 8.

/** Returns the status and the JSON of the answer, for any status. */
function ask(string $method, string $url, array $headers, ?array $body = null): array
{
    if ($body !== null) {
        $headers[] = 'Content-Type: application/json';
    }
    $context = stream_context_create(['http' => [
        'method' => $method,
        'header' => $headers,
        'content' => $body === null ? '' : json_encode($body),
        'timeout' => 60,
        'ignore_errors' => true,
    ]]);
    $text = file_get_contents($url, false, $context);
    if ($text === false) {
        exit_with("cannot reach $url");
    }
    $status = (int) explode(' ', $http_response_header[0])[1];
    return [$status, json_decode($text, true) ?? []];
}

function carat(string $method, string $path, ?array $body = null): array
{
    $base = getenv('CARAT_URL') ?: 'http://127.0.0.1:8090/e-sitef/api';
    return ask($method, $base . $path, [
        'merchant_id: ' . (getenv('CARAT_MERCHANT_ID') ?: 'LOJA1'),
        'merchant_key: ' . (getenv('CARAT_MERCHANT_KEY') ?: 'CHAVE0123456789'),
    ], $body);
}

function worker(string $method, string $path, ?array $body = null): array
{
    $base = getenv('WORKER_URL') ?: 'http://127.0.0.1:8081';
    return ask($method, $base . $path, ['Authorization: Bearer ' . getenv('WORKER_API_KEY')], $body);
}

function exit_with(string $why, int $code = 1): never
{
    fwrite(STDERR, $why . PHP_EOL);
    exit($code);
}
