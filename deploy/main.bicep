// chat-functions in Azure: function apps on Flex Consumption, a database, and what they need, in a resource group of their own.
//
// Secrets are written to the key vault when they are given, and left alone when they are not: give them once.
targetScope = 'subscription'

@description('Name of this deployment; names of resources are made of it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Where the resources are: a region that has Flex Consumption.')
param location string

@description('The function apps, as the services that each of them serves. Several apps need a gateway before them.')
@minLength(1)
param apps string[] = ['auth,users,chat']

@description('Where people reach the API, such as https://chat.example.com. Empty: at the address of the only function app.')
param publicBaseUrl string = ''

@description('Whose address the rate limits count. xff:1 is right without a gateway, xff:2 with one that appends to X-Forwarded-For.')
param clientIp string = 'xff:1'

@description('Networks of the gateway, such as 192.0.2.0/24: the apps take requests from nowhere else. Empty: from everywhere.')
param gatewayNetworks string[] = []

@description('Origins whose pages may call the API.')
param corsOrigins string[] = []

@description('What a registration needs to become an account: nothing, or an address that is verified by mail.')
@allowed(['open', 'verified'])
param registration string = 'open'

@description('Who mail comes from. Empty: no mail is sent.')
param mailFrom string = ''

@description('The mail server, such as smtp://user:password@mail.example.com:587.')
@secure()
param mailUrl string = ''

@description('Key of the tokens, 32 random bytes or more.')
@secure()
param jwtSecret string = ''

@description('The key before that one, while it is being changed.')
@secure()
param jwtSecretPrevious string = ''

@description('Whether to make a database; else mongodbUri names one.')
param createDatabase bool = true

@description('A MongoDB database that there is already: a replica set with TLS.')
@secure()
param mongodbUri string = ''

@description('Password of the administrator of the database that is made.')
@secure()
param databasePassword string = ''

@description('Size of the database that is made. M30 and larger may be highly available.')
param databaseTier string = 'M20'

@description('Disk of the database that is made, in GB.')
param databaseDiskGb int = 32

@description('Whether the database that is made has a standby.')
param databaseHighAvailability bool = false

@description('Memory of an instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Most instances of a function app.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('Instances that are always there, so that nobody waits for a start.')
@minValue(0)
param alwaysReadyInstances int = 0

@description('Who hears by mail that the API is down. Empty: nobody.')
param alertEmail string = ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
// The first app of several has the name that one alone has, so that a second one can be added later.
var appNames = [for (services, index) in apps: index == 0 ? 'func-chat-${token}' : 'func-chat-${token}-${index}']
var baseUrl = empty(publicBaseUrl) ? 'https://${appNames[0]}.azurewebsites.net' : publicBaseUrl

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-chat-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    name: 'chat-${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    healthUrl: '${baseUrl}/api/health'
    alertEmail: alertEmail
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    containers: appNames
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    secrets: {
      'jwt-secret': jwtSecret
      'jwt-secret-previous': jwtSecretPrevious
      'mongodb-uri': createDatabase ? '' : mongodbUri
      'mail-url': mailUrl
      'database-password': createDatabase ? databasePassword : ''
    }
  }
}

resource vaultWithSecrets 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: 'kv-${token}'
  scope: group
}

module database 'modules/database.bicep' = if (createDatabase) {
  name: 'database'
  scope: group
  params: {
    name: 'docdb-${token}'
    location: location
    tags: tags
    tier: databaseTier
    diskGb: databaseDiskGb
    highAvailability: databaseHighAvailability
    password: vaultWithSecrets.getSecret('database-password')
    vaultName: vault.outputs.name
  }
}

module functionApps 'modules/function-app.bicep' = [
  for (services, index) in apps: {
    name: 'function-app-${index}'
    scope: group
    // Secrets that are not there when an app starts would keep it from starting.
    dependsOn: [database]
    params: {
      name: appNames[index]
      location: location
      // azd brings the package to the only app; those of several are brought one by one.
      tags: union(tags, length(apps) == 1 ? { 'azd-service-name': 'api' } : {})
      identityId: identity.outputs.id
      identityClientId: identity.outputs.clientId
      storageName: storage.outputs.name
      storageBlobEndpoint: storage.outputs.blobEndpoint
      applicationInsightsConnectionString: monitoring.outputs.connectionString
      gatewayNetworks: gatewayNetworks
      instanceMemoryMB: instanceMemoryMB
      maximumInstances: maximumInstances
      alwaysReadyInstances: alwaysReadyInstances
      vaultName: vault.outputs.name
      vaultSettings: union(
        { JWT_SECRET: 'jwt-secret', MONGODB_URI: 'mongodb-uri' },
        empty(jwtSecretPrevious) ? {} : { JWT_SECRET_PREVIOUS: 'jwt-secret-previous' },
        empty(mailFrom) ? {} : { MAIL_URL: 'mail-url' }
      )
      settings: union(
        {
          APP_ENV: 'production'
          PUBLIC_BASE_URL: baseUrl
          SERVICES: services
          REGISTRATION: registration
          CLIENT_IP: clientIp
        },
        empty(corsOrigins) ? {} : { CORS_ORIGINS: join(corsOrigins, ',') },
        empty(mailFrom) ? {} : { MAIL_FROM: mailFrom }
      )
    }
  }
]

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
// Its presence tells that the secrets are in the vault.
output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output FUNCTION_APPS string[] = appNames
output PUBLIC_BASE_URL string = baseUrl
