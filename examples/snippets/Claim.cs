// Takes a token of a generic operation, uses it, and says so: dotnet run -- JOB_ID
using System;
using System.Net.Http;
using System.Text;
using System.Threading.Tasks;

if (args.Length != 1)
{
    Console.Error.WriteLine("usage: Claim JOB_ID");
    return 2;
}
using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(35) };
var (status, token) = await Ask(HttpMethod.Put, """{"kind":"token","wait":25}""");
if (status != 200)
{
    Console.Error.WriteLine(status == 204 ? "nothing came" : token);
    return status == 204 ? 3 : 1;
}
Console.WriteLine(token); // JSON; … POST /v1/genericoperations with its "value" …
await Ask(HttpMethod.Delete, null);
return 0;

async Task<(int, string)> Ask(HttpMethod method, string? body)
{
    var url = $"{Environment.GetEnvironmentVariable("WORKER_URL")}/v1/claims/{args[0]}";
    using var request = new HttpRequestMessage(method, url);
    request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {Environment.GetEnvironmentVariable("WORKER_API_KEY")}");
    if (body != null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
    using var answer = await http.SendAsync(request);
    return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
}
