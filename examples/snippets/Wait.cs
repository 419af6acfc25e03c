// Waits for the token under a merchant_data and prints it: dotnet run -- MERCHANT_DATA
using System;
using System.Net.Http;

if (args.Length != 1)
{
    Console.Error.WriteLine("usage: Wait MERCHANT_DATA");
    return 2;
}
using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(35) };
var url = $"{Environment.GetEnvironmentVariable("WORKER_URL")}/v1/tokens?wait=25&merchant_data={Uri.EscapeDataString(args[0])}";
using var request = new HttpRequestMessage(HttpMethod.Get, url);
request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {Environment.GetEnvironmentVariable("WORKER_API_KEY")}");
using var answer = await http.SendAsync(request);
var text = await answer.Content.ReadAsStringAsync();
if ((int)answer.StatusCode != 200)
{
    Console.Error.WriteLine((int)answer.StatusCode == 204 ? "nothing came" : text);
    return (int)answer.StatusCode == 204 ? 3 : 1;
}
Console.WriteLine(text); // JSON, with "value"
return 0;
